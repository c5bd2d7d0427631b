/* SPDX-License-Identifier: MIT */
/* talk.h: one connection for a program that waits for each answer: a trial before the start, a
 * command of the command line. Everything in here blocks, within the deadlines of the link; on a
 * loop of its own.
 */
#ifndef MADANG_BACKPLANE_REDIS_TALK_H
#define MADANG_BACKPLANE_REDIS_TALK_H

#include "backplane/base/buf.h"
#include "backplane/redis/server.h"

enum redis_verdict {
    REDIS_WELL,
    REDIS_AWAY,   /* it cannot be reached now */
    REDIS_REFUSED /* it is there and does not take us, or we do not take it */
};

struct redis_talk;

/* Connects, to the master that the Sentinels name if there are any; the options are copied but for
 * what they borrow. NULL: *verdict and `why`, which begins
 * with the server's address, say why not. */
struct redis_talk *redis_talk_open(const struct redis_server_options *o,
                                   enum redis_verdict *verdict, struct buf *why);
void redis_talk_close(struct redis_talk *t); /* NULL is fine */

/* The answer to a command of n words: valid until the next one. NULL: there is none, or it is an
 * error; `why` says what. */
struct redis_reply *redis_talk_ask(struct redis_talk *t, const struct span *words, size_t n,
                                   struct buf *why);

#endif
