/* SPDX-License-Identifier: MIT */
/* forwarded.h: whom a proxy speaks for, by its X-Forwarded-For header.
 *
 * Each proxy appends the address that is connected to it. So the list is read from its end, for as
 * long as the hop that wrote the word is trusted; the first address that is not trusted is the
 * client, and what stands before it is only what that client says. If all are trusted, it is the
 * first one. A word may be an address, or [IPv6], with or without a port (as de-facto proxies write
 * them; RFC 7239 5.2 calls the header legacy).
 */
#ifndef MADANG_GATEWAY_FORWARDED_H
#define MADANG_GATEWAY_FORWARDED_H

#include "gateway/networks.h"

/* `list`: the values of all such headers in their order, joined by commas; the peer is trusted.
 * False: a trusted hop has written something that is no address, which is not guessed at. */
bool forwarded_client(const struct networks *trusted, struct span list, struct address *client)
    __attribute__((warn_unused_result));

#endif
