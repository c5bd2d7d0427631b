/* SPDX-License-Identifier: MIT */
/* local_private.h: streams in memory, for the two drivers that have them: local.c, where they are
 * all there is, and kept.c, which has a file behind them.
 */
#ifndef MADANG_BACKPLANE_LOCAL_PRIVATE_H
#define MADANG_BACKPLANE_LOCAL_PRIVATE_H

#include "backplane/followers.h"
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
    struct list told_next;      /* operations, oldest first */
    struct list filled;         /* rooms with publications, longest idle first */
    struct recent recent;       /* keys with a ttl */
    struct followers followers; /* of local.c; kept.c has them in its file */
    size_t bytes;
    uint64_t now_ms;
    /* Over the bound for all streams: frees what the room holds in memory. */
    void (*give_up)(struct local *l, struct local_room *room);
};

/* The room's state, made if need be and rid of what is too old; NULL: no memory. */
struct local_room *local_room(struct local *l, struct stream_ref *ref,
                              const struct stream_limits *limits);
void local_init(struct local *l, const struct driver_ops *ops, const struct driver_config *config);

/* Carry the operation out and fill in its answer. A room that has a state has a stream in it. */
void local_do_commit(struct local *l, struct commit *c);
void local_do_read(struct local *l, struct stream_read *r);
void local_do_remove(struct local *l, struct stream_removal *r);
void local_do_redact(struct local *l, struct stream_redaction *r);

/* ---- local_follow.c ---- */

void local_do_follow(struct local *l, struct follow *f);
/* FOLLOW_BEGIN, FOLLOW_READ: where in the stream the marker is to go, into f->at. */
enum err local_follow_at(struct local *l, struct follow *f);
/* The stream of that room, be it followed or not, is in memory now, or (NULL) not any more. */
void local_follow_room(struct local *l, struct span name, struct local_room *room);
void local_follow_publication(struct local *l, struct commit *c); /* it was stored */

void local_tell(const struct local *l, struct operation *o);
void local_expire(struct local *l); /* what is too old; in every turn */
size_t local_bytes(const struct driver *d);

#endif
