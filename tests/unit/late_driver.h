/* SPDX-License-Identifier: MIT */
/* late_driver.h: the local driver behind a line: operations take effect, in order, some turns after
 * they were begun, as they would on another machine. Publications are told of watched rooms only,
 * before or after the answer to whoever made them; a test can have some lost on the way. */
#ifndef MADANG_TESTS_UNIT_LATE_DRIVER_H
#define MADANG_TESTS_UNIT_LATE_DRIVER_H

#include "backplane/local.h"
#include "tests/unit/core_kit.h"

#define LATE_PER_TURN 3  /* at most so many arrive together */
#define LATE_ROOMS    16 /* watched at a time */

struct late {
    struct driver base;
    struct driver *there;
    struct list on_the_way;
    struct stream_ref *watched[LATE_ROOMS];
    struct stream_ref *waiting; /* room of a publication that is told after its commit */
    struct msg *waiting_msg;
    struct position waiting_at;
    bool losing;          /* publications get lost, until late_tell_lost */
    struct position last; /* of the last one that was */
};

static inline struct driver *there(const struct driver *d)
{
    return ((const struct late *)d)->there;
}

static inline struct stream_ref **late_seat(struct late *l, const struct stream_ref *room)
{
    for (size_t i = 0; i < LATE_ROOMS; i++)
        if (l->watched[i] == room)
            return &l->watched[i];
    return NULL;
}

/* ---- what the other side tells -------------------------------------------------------------- */

static inline void late_published(void *owner, struct stream_ref *room, struct msg *m,
                                  const struct position *at)
{
    struct late *l = owner;
    assert_null(l->waiting);
    if (!late_seat(l, room))
        return;
    if (l->losing) {
        l->last = *at;
    } else if (one_in(2)) {
        l->waiting = room;
        l->waiting_msg = msg_ref(m);
        l->waiting_at = *at;
    } else {
        l->base.config.events->published(l->base.config.owner, room, m, at);
    }
}

static inline void late_committed(void *owner, struct commit *c)
{
    struct late *l = owner;
    struct stream_ref *room = l->waiting;
    l->waiting = NULL;
    l->base.config.events->committed(l->base.config.owner, c);
    if (!room)
        return;
    if (late_seat(l, room))
        l->base.config.events->published(l->base.config.owner, room, l->waiting_msg,
                                         &l->waiting_at);
    msg_unref(l->waiting_msg);
}

static inline void late_read_done(void *owner, struct stream_read *r)
{
    struct late *l = owner;
    l->base.config.events->read_done(l->base.config.owner, r);
}

static inline void late_removed(void *owner, struct stream_removal *r)
{
    struct late *l = owner;
    l->base.config.events->removed(l->base.config.owner, r);
}

static inline void late_redacted(void *owner, struct stream_redaction *r)
{
    struct late *l = owner;
    l->base.config.events->redacted(l->base.config.owner, r);
}

static inline void late_followed(void *owner, struct follow *f)
{
    struct late *l = owner;
    l->base.config.events->followed(l->base.config.owner, f);
}

static const struct driver_events late_events = {
    .published = late_published,
    .committed = late_committed,
    .read_done = late_read_done,
    .removed = late_removed,
    .redacted = late_redacted,
    .followed = late_followed,
};

/* What was lost in this room is told now. */
static inline void late_tell_lost(struct late *l, struct stream_ref *room)
{
    l->losing = false;
    l->base.config.events->lost(l->base.config.owner, room, &l->last);
}

/* ---- what it is asked ----------------------------------------------------------------------- */

static inline void late_send(struct driver *d, struct operation *o, enum operation_kind kind)
{
    o->kind = kind;
    list_push(&((struct late *)d)->on_the_way, &o->link);
}

static inline void late_commit(struct driver *d, struct commit *c)
{
    late_send(d, &c->operation, OPERATION_COMMIT);
}

static inline void late_read(struct driver *d, struct stream_read *r)
{
    late_send(d, &r->operation, OPERATION_READ);
}

static inline void late_remove(struct driver *d, struct stream_removal *r)
{
    late_send(d, &r->operation, OPERATION_REMOVE);
}

static inline void late_redact(struct driver *d, struct stream_redaction *r)
{
    late_send(d, &r->operation, OPERATION_REDACT);
}

static inline void late_follow(struct driver *d, struct follow *f)
{
    late_send(d, &f->operation, OPERATION_FOLLOW);
}

static inline void late_arrive(struct driver *d, struct operation *o)
{
    switch (o->kind) {
    case OPERATION_COMMIT: d->ops->commit(d, container_of(o, struct commit, operation)); break;
    case OPERATION_READ: d->ops->read(d, container_of(o, struct stream_read, operation)); break;
    case OPERATION_REMOVE:
        d->ops->remove(d, container_of(o, struct stream_removal, operation));
        break;
    case OPERATION_REDACT:
        d->ops->redact(d, container_of(o, struct stream_redaction, operation));
        break;
    case OPERATION_FOLLOW: d->ops->follow(d, container_of(o, struct follow, operation)); break;
    }
}

static inline bool late_turn(struct driver *d, uint64_t now_ms)
{
    struct late *l = (struct late *)d;
    for (uint32_t n = random_below(LATE_PER_TURN + 1); n && !list_empty(&l->on_the_way); n--)
        late_arrive(l->there, container_of(list_shift(&l->on_the_way), struct operation, link));
    bool more = l->there->ops->turn(l->there, now_ms);
    return more || !list_empty(&l->on_the_way);
}

static inline bool late_watch(struct driver *d, struct stream_ref *room)
{
    struct late *l = (struct late *)d;
    assert_null(late_seat(l, room));
    struct stream_ref **seat = late_seat(l, NULL);
    assert_non_null(seat);
    *seat = room;
    return true;
}

static inline void late_unwatch(struct driver *d, struct stream_ref *room)
{
    struct stream_ref **seat = late_seat((struct late *)d, room);
    assert_non_null(seat);
    *seat = NULL;
}

static inline void late_forget(struct driver *d, struct stream_ref *room)
{
    assert_null(late_seat((struct late *)d, room));
    there(d)->ops->forget(there(d), room);
}

static inline size_t late_bytes(const struct driver *d)
{
    return there(d)->ops->bytes(there(d));
}

static inline void late_stop(struct driver *d)
{
    while (late_turn(d, 0))
        ;
    there(d)->ops->stop(there(d));
}

static inline void late_close(struct driver *d)
{
    struct late *l = (struct late *)d;
    assert_true(list_empty(&l->on_the_way));
    for (size_t i = 0; i < LATE_ROOMS; i++)
        assert_null(l->watched[i]);
    there(d)->ops->close(there(d));
    free(d);
}

static inline enum err late_open(struct driver **out, const struct driver_config *config);

static const struct driver_ops late_driver = {
    .name = "late",
    .open = late_open,
    .stop = late_stop,
    .close = late_close,
    .commit = late_commit,
    .read = late_read,
    .remove = late_remove,
    .redact = late_redact,
    .follow = late_follow,
    .watch = late_watch,
    .unwatch = late_unwatch,
    .forget = late_forget,
    .turn = late_turn,
    .bytes = late_bytes,
};

static inline enum err late_open(struct driver **out, const struct driver_config *config)
{
    struct late *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    l->base = (struct driver){.ops = &late_driver, .config = *config};
    list_init(&l->on_the_way);
    *out = &l->base;
    struct driver_config there_config = *config;
    there_config.events = &late_events;
    there_config.owner = l;
    return local_driver.open(&l->there, &there_config);
}

#endif
