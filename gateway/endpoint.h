/* SPDX-License-Identifier: MIT */
/* endpoint.h: where to listen, as the options say it.
 *
 *   127.0.0.1:8000  [::1]:8000    a number, never looked up; port 0 lets the kernel choose
 *   localhost:8000                both of these
 *   unix:/run/madang.sock         a unix socket; the path is absolute
 *   proxy:…                       one of these, where each connection begins with a PROXY header
 */
#ifndef MADANG_GATEWAY_ENDPOINT_H
#define MADANG_GATEWAY_ENDPOINT_H

#include "backplane/base/buf.h"

#include <sys/socket.h>

struct endpoint {
    struct sockaddr_storage address; /* AF_INET, AF_INET6 or AF_UNIX */
    socklen_t len;
    bool proxied;
};

/* Reads one address, so not `localhost`; *out is filled on success only. */
bool endpoint_parse(const char *text, struct endpoint *out);

/* Whether the text is one of the forms above. */
bool endpoint_is(const char *text);

/* The host that names are compared with: "127.0.0.1", "[::1]"; empty for a unix socket. */
struct span endpoint_host(const char *text);

/* Writes one of the addresses that `text` stands for into *out, terminated: number 0, then 1;
 * false: there are no more. */
bool endpoint_spread(const char *text, size_t number, struct buf *out);

#endif
