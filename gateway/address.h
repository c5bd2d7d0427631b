/* SPDX-License-Identifier: MIT */
/* address.h: HOST:PORT as an address to listen on.
 *
 * HOST is a number, never looked up: "127.0.0.1:8000", "[::1]:8000". Port 0 lets the kernel choose.
 */
#ifndef MADANG_GATEWAY_ADDRESS_H
#define MADANG_GATEWAY_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Reads text; *out and *len are filled on success only. */
bool address_parse(const char *text, struct sockaddr_storage *out, socklen_t *len);

/* True for 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/104. */
bool address_is_loopback(const struct sockaddr *a);

#endif
