/* SPDX-License-Identifier: MIT */
/* local_private.h: streams in memory, for the two drivers that have them: local.c, where they are
 * all there is, and kept.c, which has a file behind them.
 */
#ifndef MADANG_BACKPLANE_LOCAL_PRIVATE_H
#define MADANG_BACKPLANE_LOCAL_PRIVATE_H

#include "backplane/local.h"
#include "backplane/recent.h"
#include "backplane/stream.h"

/* The driver's side of a room. Exists from the first operation that needs a stream. */
struct local_room {
    struct list idle; /* in local.filled while it holds publications */
    struct stream *stream;
    struct stream_limits limits; /* as of the last operation */
    uint64_t version;
    char version_epoch[VERSION_EPOCH_MAX]; /* padded with NUL */
};

/* An operation takes effect when it is called and is told in `turn`, in call order: that is what
 * makes reads and publications of a room fit together. */
struct local {
    struct driver base;
    struct list told_next; /* operations, oldest first */
    struct list filled;    /* rooms with publications, longest idle first */
    struct recent recent;  /* keys with a ttl */
    size_t bytes;
    uint64_t now_ms;
    /* Over the bound for all streams: frees what the room holds in memory. */
    void (*give_up)(struct local *l, struct local_room *room);
};

void local_init(struct local *l, const struct driver_ops *ops, const struct driver_config *config);
void local_empty(struct local *l, struct local_room *room); /* drops its publications */

/* Carry the operation out and fill in its answer. A room that has a state has a stream in it. */
void local_do_commit(struct local *l, struct commit *c);
void local_do_read(struct local *l, struct stream_read *r);
void local_do_remove(struct local *l, struct stream_removal *r);
void local_do_redact(struct local *l, struct stream_redaction *r);

void local_tell(const struct local *l, struct operation *o);
void local_expire(struct local *l); /* what is too old; in every turn */
size_t local_bytes(const struct driver *d);

#endif
