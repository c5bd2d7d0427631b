/* SPDX-License-Identifier: MIT */
/* exchange.h: one HTTP request with a body, whose answer comes later: a call of the server API.
 *
 * The second of the two files that know libwebsockets. It lives from the request's headers until
 * its answer has been taken, or until the connection is gone; the call that it began may outlive
 * it.
 * Everything is called on the hub's thread.
 */
#ifndef MADANG_GATEWAY_EXCHANGE_H
#define MADANG_GATEWAY_EXCHANGE_H

#include "gateway/http.h"

struct exchange;
struct hub;
struct lws;

/* Writes an answer's head and, if wanted, its body; 0, or -1: the connection is dead. */
int exchange_write(struct lws *wsi, struct hub *h, const struct http_answer *a, bool with_body);

/* What the library's callbacks become. Each returns what the callback is to return. */
int exchange_begin(struct exchange **px, struct lws *wsi, struct hub *h,
                   const struct http_request *r);
int exchange_body(struct exchange *x, struct span chunk);
int exchange_complete(struct exchange *x);
int exchange_writable(struct exchange **px);
void exchange_gone(struct exchange **px); /* NULL is fine */

#endif
