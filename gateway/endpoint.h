/* SPDX-License-Identifier: MIT */
/* endpoint.h: HOST:PORT as an address to listen on.
 *
 * HOST is a number, never looked up: "127.0.0.1:8000", "[::1]:8000". Port 0 lets the kernel choose.
 */
#ifndef MADANG_GATEWAY_ENDPOINT_H
#define MADANG_GATEWAY_ENDPOINT_H

#include <stdbool.h>
#include <sys/socket.h>

/* Reads text; *out and *len are filled on success only. */
bool endpoint_parse(const char *text, struct sockaddr_storage *out, socklen_t *len);

#endif
