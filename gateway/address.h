/* SPDX-License-Identifier: MIT */
/* address.h: who is at the other end, as limits count it and logs tell it.
 *
 * An IPv6 address; IPv4 is ::ffff:a.b.c.d, so that both forms of one machine are equal. All zero is
 * nobody: the peer of a unix socket that no proxy has named. It is plain bytes without padding,
 * good as a key of a map (map.h hashes it under the seed of the process).
 */
#ifndef MADANG_GATEWAY_ADDRESS_H
#define MADANG_GATEWAY_ADDRESS_H

#include "backplane/base/buf.h"

#include <stdint.h>
#include <sys/socket.h>

struct address {
    uint8_t bytes[16];
};

/* Room for the text of any address, with its end. */
#define ADDRESS_TEXT 46

/* Of a socket address; families other than IPv4 and IPv6 are nobody. The port is left out. */
struct address address_of(const struct sockaddr *a);
/* Four bytes in network order. */
struct address address_of_v4(const void *bytes);

/* Reads "192.0.2.1" or "2001:db8::1", without brackets; a scope behind '%' is left out. *out is
 * filled on success only. */
bool address_read(struct span text, struct address *out);
/* Appends the text; nobody is "-". */
void address_write(const struct address *a, struct buf *out);

bool address_eq(const struct address *a, const struct address *b);
bool address_is_nobody(const struct address *a);
bool address_is_v4(const struct address *a);
/* 127.0.0.0/8 and ::1. */
bool address_is_loopback(const struct address *a);

/* What limits count as one: an IPv4 address, or the /64 of an IPv6 address, for whoever has one of
 * its addresses has all of them. */
struct address address_key(const struct address *a);

#endif
