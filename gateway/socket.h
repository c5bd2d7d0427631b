/* SPDX-License-Identifier: MIT */
/* socket.h: the fence around libwebsockets: nothing beyond this file and its .c knows it.
 *
 * One context per hub, on the hub's loop; it decodes the HTTP and WebSocket
 * protocols. Everything is called on the hub's thread. Frames are written raw:
 * what socket_write gets is a finished frame (or several), so one buffer serves
 * every subscriber.
 *
 * Traps of the packaged library that this file answers are named where they are answered.
 */
#ifndef MADANG_GATEWAY_SOCKET_H
#define MADANG_GATEWAY_SOCKET_H

#include "backplane/base/err.h"
#include "backplane/base/span.h"

#include <stddef.h>
#include <stdint.h>

struct arrival;
struct certificate;
struct tickets;
struct hub;
struct lws;
struct socket_context;

/* Process-wide settings; once, before any thread starts. */
void socket_global_init(void);

/* RLIMIT_NOFILE must have its final value. */
enum err socket_context_new(struct socket_context **out, struct hub *hub);

/* The certificate and the keys of tickets from now on; NULL: as before. References are taken. */
void socket_secure(struct socket_context *c, struct certificate *certificate,
                   struct tickets *tickets);

/* Two steps, with a run of the loop between: begin closes every connection, end frees. */
void socket_context_close(struct socket_context *c);
void socket_context_free(struct socket_context *c);

/* Takes over a connection; on failure it is closed. */
void socket_adopt(struct socket_context *c, struct arrival *a);

/* True while bytes of an earlier write wait in the library: then do not write, wait for
 * `writable`. */
bool socket_busy(struct lws *wsi);

/* Writes complete frames; 0, or -1: the connection is dead. Not while busy. */
int socket_write(struct lws *wsi, struct span frames);

void socket_want_write(struct lws *wsi); /* session_writable will be called */
void socket_read(struct lws *wsi, bool on);

/* Bytes that have come over TCP; 0: unknown, as for a unix socket. */
uint64_t socket_received(struct lws *wsi);

/* Cuts the connection; session_gone is called before it returns, or, if bytes wait in the library,
 * in the next turn. Never from within a callback of the same connection. */
void socket_kill(struct lws *wsi);

/* The largest chunk that a read delivers. */
#define SOCKET_RX 512
/* The most that one socket_write should be given. */
#define SOCKET_TX 70000

#endif
