/* SPDX-License-Identifier: MIT */
/* redis_calls.h: a script under way for an operation, the words it is called with, and what it
 * answers.
 */
#ifndef MADANG_BACKPLANE_REDIS_CALLS_H
#define MADANG_BACKPLANE_REDIS_CALLS_H

#include "backplane/redis_private.h"

#define SCRIPT_WORDS_MAX 52 /* of a publication with all that it may cause */

/* ---- words ---- */

/* The words of a call. What is built lies in the driver's scratch buffer, which is reserved as a
 * whole beforehand, so that it does not move. */
struct script_words {
    struct redis *d;
    struct span list[SCRIPT_WORDS_MAX];
    size_t n;
};

/* There is room for that many keys, with that name in them, and for all numbers; false: no memory.
 */
bool script_begin(struct script_words *w, struct redis *d, struct span name, size_t keys);
void script_add(struct script_words *w, struct span s); /* borrowed */
void script_add_key(struct script_words *w, const char *kind, struct span name);
void script_add_u64(struct script_words *w, uint64_t v);
void script_add_hex(struct script_words *w, const uint64_t *v, size_t n);
/* What was appended to the scratch buffer since it had `from` bytes. */
void script_add_built(struct script_words *w, size_t from);
void script_hex(struct buf *b, const uint64_t *v, size_t n);

/* ---- calls ---- */

/* One script under way. */
struct script_call {
    struct redis_call call;
    struct redis_shard *shard;
    struct redis_room *room;     /* held; may be NULL */
    struct operation *operation; /* NULL: a fill */
    uint32_t era;
    bool feeds;  /* the feed has been told of this read */
    bool failed; /* … and that nothing came of it */
};

/* NULL: no memory. */
struct script_call *script_call_new(struct redis_shard *s, struct redis_room *room,
                                    struct operation *o, call_done_fn done);
void script_call_free(struct script_call *c);
struct script_call *script_call_of(struct redis_call *call);
/* The first words are keys. */
void script_call_send(struct script_call *c, enum redis_script_id id, const struct script_words *w,
                      size_t keys);

/* ---- answers ---- */

enum err script_call_outcome(const struct script_call *c);
bool script_epoch(const struct redis_reply *r, size_t i, struct position *out); /* false: none */
uint64_t script_number(const struct redis_reply *r, size_t i);

/* ---- redis_commit.c ---- */

/* Sends a publication; false: no memory. */
bool redis_send_commit(struct redis_shard *s, struct redis_room *room, struct operation *o);

#endif
