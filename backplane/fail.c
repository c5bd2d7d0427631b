/* SPDX-License-Identifier: MIT */
#include "backplane/fail.h"

#include <stdlib.h>

struct fail {
    struct driver base;
    struct list told_next;
};

static void fail_commit(struct driver *d, struct commit *c)
{
    c->operation.kind = OPERATION_COMMIT;
    c->error = ERR_NOT_AVAILABLE;
    c->repeated = false;
    list_push(&((struct fail *)d)->told_next, &c->operation.link);
}

static void fail_read(struct driver *d, struct stream_read *r)
{
    r->operation.kind = OPERATION_READ;
    r->error = ERR_NOT_AVAILABLE;
    r->pubs = NULL;
    r->count = 0;
    list_push(&((struct fail *)d)->told_next, &r->operation.link);
}

static void fail_remove(struct driver *d, struct stream_removal *r)
{
    r->operation.kind = OPERATION_REMOVE;
    r->error = ERR_NOT_AVAILABLE;
    list_push(&((struct fail *)d)->told_next, &r->operation.link);
}

static void fail_redact(struct driver *d, struct stream_redaction *r)
{
    r->operation.kind = OPERATION_REDACT;
    r->error = ERR_NOT_AVAILABLE;
    list_push(&((struct fail *)d)->told_next, &r->operation.link);
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

static void tell(const struct driver *d, struct operation *o)
{
    const struct driver_events *events = d->config.events;
    void *owner = d->config.owner;
    switch (o->kind) {
    case OPERATION_COMMIT:
        events->committed(owner, container_of(o, struct commit, operation));
        break;
    case OPERATION_READ:
        events->read_done(owner, container_of(o, struct stream_read, operation));
        break;
    case OPERATION_REMOVE:
        events->removed(owner, container_of(o, struct stream_removal, operation));
        break;
    case OPERATION_REDACT:
        events->redacted(owner, container_of(o, struct stream_redaction, operation));
        break;
    }
}

static bool fail_turn(struct driver *d, uint64_t now_ms)
{
    (void)now_ms;
    struct fail *f = (struct fail *)d;
    struct list due;
    list_init(&due);
    list_splice(&due, &f->told_next);
    for (struct list *n; (n = list_shift(&due));)
        tell(d, container_of(n, struct operation, link));
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
    .forget = fail_forget,
    .watch = fail_watch,
    .unwatch = fail_unwatch,
    .turn = fail_turn,
    .bytes = fail_bytes,
};
