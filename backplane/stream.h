/* SPDX-License-Identifier: MIT */
/* stream.h: a room's recent publications in memory.
 *
 * A ring of references to sealed messages with consecutive offsets, and beside
 * it the idempotency keys of exactly those messages: a key lives as long as its
 * publication. The epoch and the top offset outlive the publications. Belongs
 * to one thread. The ring is allocated with the first publication.
 */
#ifndef MADANG_BACKPLANE_STREAM_H
#define MADANG_BACKPLANE_STREAM_H

#include "backplane/driver.h"

struct stream;

/* A stream without publications and with a fresh random epoch; NULL: no memory. */
struct stream *stream_new(void);

/* One that goes on behind a position. */
struct stream *stream_behind(const struct position *top);
void stream_free(struct stream *s);

struct position stream_top(const struct stream *s);
size_t stream_bytes(const struct stream *s);
size_t stream_count(const struct stream *s);
uint64_t stream_first(const struct stream *s); /* the oldest kept; top + 1: none is */

void epoch_new(char epoch[EPOCH_MAX]); /* at random, of eight letters */

/* Where a key was used; false if it is not known. *same tells whether for the same data. */
bool stream_find_key(const struct stream *s, const struct idempotency *k, uint64_t *offset,
                     bool *same);

/* Appends m (a reference is taken) as offset top + 1, then trims to the limits; the newest always
 * stays. ERR_INTERNAL: no memory, nothing changed. */
enum err stream_append(struct stream *s, struct msg *m, const struct idempotency *k,
                       const struct stream_limits *limits, uint64_t now_ms);

/* Puts m (a reference is taken), which is not shared yet, in the place of the publication of its
 * offset; key and quietness stay. False: that is not kept. */
bool stream_replace(struct stream *s, struct msg *m);

/* Drops what is older than the limits' age; true if anything went. */
bool stream_expire(struct stream *s, const struct stream_limits *limits, uint64_t now_ms);

/* Drops every publication; epoch and top stay. */
void stream_clear(struct stream *s);

/* How many publications behind that offset, which is not past the top, are kept and not quiet. */
uint64_t stream_unread(const struct stream *s, uint64_t marker);

/* Fills the answer of r. */
void stream_answer(const struct stream *s, struct stream_read *r);

#endif
