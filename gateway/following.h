/* SPDX-License-Identifier: MIT */
/* following.h: who follows which room, asked by clients (method_rpc.c) and by applications
 * (api_follow.c): what they ask, what they are answered, and what a user's other devices hear.
 */
#ifndef MADANG_GATEWAY_FOLLOWING_H
#define MADANG_GATEWAY_FOLLOWING_H

#include "backplane/base/buf.h"
#include "backplane/request.h"
#include "gateway/hub.h"
#include "rooms/rules.h"

#define FOLLOWING_LINES     100 /* of a list, unless fewer or more are asked for … */
#define FOLLOWING_LINES_MAX 500 /* … up to so many */

/* What is asked. Spans are copied. */
struct following {
    enum follow_verb verb;
    struct span user, room;
    struct span who; /* who asks, see request.h */
    struct span after;
    int64_t limit;
    struct position at;
    const struct room_rules *rules; /* NULL if no stream is needed */
};

/* NULL: no memory. */
struct request_follow *following_request(const struct hub *h, const struct following *f);
void following_free(struct request_follow *q);

/* Appends the answer, an object, of what went well (request.error is OK). `room` is the word for
 * one. */
void following_write(struct buf *b, const struct request_follow *q, const char *room);

/* Tells the user's devices what has changed, by a push in its personal room; see personal.h. It is
 * never stored: who was away asks for the list. */
void following_tell(struct hub *h, const struct request_follow *q);
/* The same of a marker that went along with a publication of the user's own. */
void following_tell_publication(struct hub *h, const struct request_publish *q);

#endif
