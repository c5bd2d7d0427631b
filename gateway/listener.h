/* SPDX-License-Identifier: MIT */
/* listener.h: a socket that listens, made from a listen address of the options.
 *
 * Accepted sockets inherit from it: TCP_NODELAY, keepalive, TCP_USER_TIMEOUT and the size of the
 * send buffer are set here, once, and cost nothing per connection. Main thread, before it serves.
 *
 * The file of a unix socket has mode 0660. One that is left from a process that was killed is
 * replaced: nobody answers there. Closing the listener removes it, if it is still this one.
 */
#ifndef MADANG_GATEWAY_LISTENER_H
#define MADANG_GATEWAY_LISTENER_H

#include "gateway/endpoint.h"

#include <sys/types.h>

struct listener {
    int fd;              /* non-blocking, close-on-exec; -1: closed */
    struct endpoint at;  /* as bound: the port is not 0 */
    uint16_t asked_port; /* as in the options; 0: the system chose one, or there is none */
    dev_t file_device;   /* which file a unix socket is */
    ino_t file_number;
    bool is_private; /* a unix socket for the owner of this process alone */
};

/* Listens on all addresses, each as endpoint_parse() takes it; `out` has room for `count`. Returns
 * how many are open; 0: one failed, all are closed again, and *error is a sentence that names it.
 * [::1] after 127.0.0.1 with the same port is its twin, the other half of localhost: on a machine
 * without IPv6 it is left out, with a warning in the log; if the port is 0, both get the same. */
size_t listeners_open(char *const *addresses, size_t count, struct listener *out,
                      struct buf *error);
void listener_close(struct listener *l);

/* Listens on a unix socket that nobody but the user of this process can connect to (mode 0600).
 * False: *error is a sentence. */
bool listener_open_private(const char *path, struct listener *out, struct buf *error);

/* Appends the address as bound: 127.0.0.1:8000, [::1]:8000 or unix:/run/madang.sock. */
void listener_address(const struct listener *l, struct buf *out);
uint16_t listener_port(const struct listener *l); /* 0: a unix socket */

#endif
