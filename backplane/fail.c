/* SPDX-License-Identifier: MIT */
#include "backplane/fail.h"

#include <stdlib.h>

struct fail {
    struct driver base;
    struct list told_next;
};

static void refuse(struct driver *d, struct operation *o, enum operation_kind kind)
{
    o->kind = kind;
    operation_fail(o, ERR_NOT_AVAILABLE);
    list_push(&((struct fail *)d)->told_next, &o->link);
}

static void fail_commit(struct driver *d, struct commit *c)
{
    refuse(d, &c->operation, OPERATION_COMMIT);
}

static void fail_read(struct driver *d, struct stream_read *r)
{
    r->pubs = NULL;
    r->count = 0;
    refuse(d, &r->operation, OPERATION_READ);
}

static void fail_remove(struct driver *d, struct stream_removal *r)
{
    refuse(d, &r->operation, OPERATION_REMOVE);
}

static void fail_redact(struct driver *d, struct stream_redaction *r)
{
    refuse(d, &r->operation, OPERATION_REDACT);
}

static void fail_follow(struct driver *d, struct follow *f)
{
    follow_clear(f);
    refuse(d, &f->operation, OPERATION_FOLLOW);
}

static void fail_forget(struct driver *d, struct stream_ref *room)
{
    (void)d;
    room->state = NULL;
}

static bool fail_watch(struct driver *d, struct stream_ref *room)
{
    (void)d;
    (void)room;
    return true;
}

static void fail_unwatch(struct driver *d, struct stream_ref *room)
{
    (void)d;
    (void)room;
}

static bool fail_turn(struct driver *d, uint64_t now_ms)
{
    (void)now_ms;
    struct fail *f = (struct fail *)d;
    struct list due;
    list_init(&due);
    list_splice(&due, &f->told_next);
    for (struct list *n; (n = list_shift(&due));)
        driver_tell(d, container_of(n, struct operation, link));
    return !list_empty(&f->told_next);
}

static size_t fail_bytes(const struct driver *d)
{
    (void)d;
    return 0;
}

static enum err fail_open(struct driver **out, const struct driver_config *config)
{
    struct fail *f = calloc(1, sizeof(*f));
    if (!f)
        return ERR_INTERNAL;
    f->base = (struct driver){.ops = &fail_driver, .config = *config};
    list_init(&f->told_next);
    *out = &f->base;
    return OK;
}

static void fail_stop(struct driver *d)
{
    while (fail_turn(d, 0))
        ;
}

static void fail_close(struct driver *d)
{
    free(d);
}

const struct driver_ops fail_driver = {
    .name = "fail",
    .open = fail_open,
    .stop = fail_stop,
    .close = fail_close,
    .commit = fail_commit,
    .read = fail_read,
    .remove = fail_remove,
    .redact = fail_redact,
    .follow = fail_follow,
    .forget = fail_forget,
    .watch = fail_watch,
    .unwatch = fail_unwatch,
    .turn = fail_turn,
    .bytes = fail_bytes,
};
