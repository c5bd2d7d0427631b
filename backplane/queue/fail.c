/* SPDX-License-Identifier: MIT */
#include "backplane/queue/fail.h"

#include "backplane/base/loop.h"

#include <assert.h>
#include <stdlib.h>

struct queue_fail {
    struct queue_driver base;
    struct loop *loop;
    struct actor actor;
    struct list refused; /* to be told in the next turn */
};

static bool fail_turn(struct actor *a)
{
    struct queue_fail *f = container_of(a, struct queue_fail, actor);
    struct list due;
    list_init(&due);
    list_splice(&due, &f->refused);
    for (struct list *n; (n = list_shift(&due));) {
        struct queue_op *op = container_of(n, struct queue_op, link);
        f->base.pending--;
        op->done(op);
    }
    return !list_empty(&f->refused);
}

static void fail_begin(struct queue_driver *d, struct queue_op *op)
{
    struct queue_fail *f = (struct queue_fail *)d;
    (void)queue_check(op); /* clears the answer; what it says does not matter */
    op->error = ERR_NOT_AVAILABLE;
    d->pending++;
    list_push(&f->refused, &op->link);
    loop_again(f->loop);
}

static void fail_sweep(struct queue_driver *d)
{
    (void)d;
}

static void fail_stop(struct queue_driver *d)
{
    struct queue_fail *f = (struct queue_fail *)d;
    while (fail_turn(&f->actor))
        ;
}

static void fail_close(struct queue_driver *d)
{
    struct queue_fail *f = (struct queue_fail *)d;
    fail_stop(d); /* what was begun since */
    assert(!d->pending);
    loop_remove(f->loop, &f->actor);
    free(f);
}

static const struct queue_driver_ops fail_ops = {
    .name = "fail",
    .begin = fail_begin,
    .sweep = fail_sweep,
    .stop = fail_stop,
    .close = fail_close,
};

struct queue_driver *queue_fail_new(const struct queue_config *config, struct loop *loop)
{
    struct queue_fail *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->base = (struct queue_driver){.ops = &fail_ops, .config = *config};
    f->loop = loop;
    list_init(&f->refused);
    f->actor.turn = fail_turn;
    loop_add(loop, &f->actor);
    return &f->base;
}
