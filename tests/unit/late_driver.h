/* SPDX-License-Identifier: MIT */
/* late_driver.h: the local driver behind a line: operations take effect, in order, some turns after
 * they were begun, as they would on another machine. */
#ifndef MADANG_TESTS_UNIT_LATE_DRIVER_H
#define MADANG_TESTS_UNIT_LATE_DRIVER_H

#include "backplane/local.h"
#include "tests/unit/core_kit.h"

#define LATE_PER_TURN 3 /* at most so many arrive together */

struct late {
    struct driver base;
    struct driver *there;
    struct list on_the_way;
};

static inline struct driver *there(const struct driver *d)
{
    return ((const struct late *)d)->there;
}

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

static inline void late_arrive(struct driver *d, struct operation *o)
{
    if (o->kind == OPERATION_COMMIT)
        d->ops->commit(d, container_of(o, struct commit, operation));
    else
        d->ops->read(d, container_of(o, struct stream_read, operation));
}

static inline bool late_turn(struct driver *d, uint64_t now_ms)
{
    struct late *l = (struct late *)d;
    for (uint32_t n = random_below(LATE_PER_TURN + 1); n && !list_empty(&l->on_the_way); n--)
        late_arrive(l->there, container_of(list_shift(&l->on_the_way), struct operation, link));
    bool more = l->there->ops->turn(l->there, now_ms);
    return more || !list_empty(&l->on_the_way);
}

static inline void late_forget(struct driver *d, struct stream_ref *room)
{
    there(d)->ops->forget(there(d), room);
}

static inline bool late_has_stream(const struct driver *d, const struct stream_ref *room)
{
    return there(d)->ops->has_stream(there(d), room);
}

static inline size_t late_bytes(const struct driver *d)
{
    return there(d)->ops->bytes(there(d));
}

static inline void late_close(struct driver *d)
{
    assert_true(list_empty(&((struct late *)d)->on_the_way));
    there(d)->ops->close(there(d));
    free(d);
}

static inline enum err late_open(struct driver **out, const struct driver_config *config);

static const struct driver_ops late_driver = {
    .name = "late",
    .open = late_open,
    .close = late_close,
    .commit = late_commit,
    .read = late_read,
    .forget = late_forget,
    .has_stream = late_has_stream,
    .turn = late_turn,
    .bytes = late_bytes,
};

static inline enum err late_open(struct driver **out, const struct driver_config *config)
{
    struct late *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    l->base = (struct driver){&late_driver, *config};
    list_init(&l->on_the_way);
    *out = &l->base;
    return local_driver.open(&l->there, config);
}

#endif
