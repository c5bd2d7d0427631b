/* SPDX-License-Identifier: MIT */
/* store_socket.h: where the socket beside a store is, by which commands reach its gateway. */
#ifndef MADANG_GATEWAY_STORE_SOCKET_H
#define MADANG_GATEWAY_STORE_SOCKET_H

#include <limits.h>
#include <stdbool.h>

/* The absolute path of the store with ".sock" behind it; false: there is no such folder, or it is
 * too long. */
bool store_socket_path(const char *store, char out[PATH_MAX]);

/* Whether a gateway listens there. */
bool store_socket_answers(const char *store);

#endif
