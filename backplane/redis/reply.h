/* SPDX-License-Identifier: MIT */
/* reply.h: one reply of a Redis server (RESP2), as a tree.
 *
 * Whoever hands out a reply says how long it lives; redis_reply_move lets it live longer. A
 * reply belongs to one thread. The accessors accept any reply, NULL too, and answer for one that
 * has another type with what is harmless (absent text, 0, NULL), so that what a server answers can
 * be taken apart without a test at each step.
 */
#ifndef MADANG_BACKPLANE_REDIS_REPLY_H
#define MADANG_BACKPLANE_REDIS_REPLY_H

#include "backplane/base/span.h"

#include <stdint.h>

enum reply_type {
    REPLY_NIL,
    REPLY_INTEGER,
    REPLY_STRING,
    REPLY_STATUS, /* "OK" */
    REPLY_ERROR,  /* "WRONGTYPE Operation against …" */
    REPLY_ARRAY,
};

struct redis_reply {
    enum reply_type type;
    size_t count; /* REPLY_ARRAY: of items */
    union {
        int64_t integer;
        struct span text; /* STRING, STATUS, ERROR; terminated by NUL as well */
        struct redis_reply *items;
    };
};

/* Moves the contents; `from` is nil afterwards, `to` is the caller's to deinit. */
void redis_reply_move(struct redis_reply *to, struct redis_reply *from);
void redis_reply_deinit(struct redis_reply *r); /* the reply is nil afterwards */

const struct redis_reply *redis_reply_item(const struct redis_reply *r, size_t i); /* or NULL */
struct span redis_reply_text(const struct redis_reply *r); /* STRING, STATUS, ERROR */
/* INTEGER, or a STRING or STATUS that is one in decimal; 0 for anything else. */
int64_t redis_reply_integer(const struct redis_reply *r);

/* True for an error reply that begins with this word, such as "OOM" or "NOSCRIPT". */
bool redis_reply_is_error(const struct redis_reply *r, const char *word);

#endif
