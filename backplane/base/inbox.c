/* SPDX-License-Identifier: MIT */
#include "backplane/base/inbox.h"

#include "backplane/base/loop.h"

#include <assert.h>

/* Puts the chain from `head` to `end` behind the one that ends at *tail. */
static void chain_append(struct entry ***tail, struct entry *head, struct entry **end)
{
    **tail = head;
    *tail = end;
}

void inbox_init(struct inbox *in, struct loop *loop)
{
    *in = (struct inbox){.loop = loop};
    in->near_end = &in->near;
    in->far_end = &in->far;
    int rc = pthread_mutex_init(&in->lock, NULL);
    assert(rc == 0); /* default attributes allocate nothing */
    (void)rc;
}

void inbox_deinit(struct inbox *in)
{
    assert(!in->near && !in->far);
    pthread_mutex_destroy(&in->lock);
}

struct entry *inbox_take(struct inbox *in)
{
    struct entry *head = NULL, **end = &head;

    if (in->near) {
        chain_append(&end, in->near, in->near_end);
        in->near = NULL;
        in->near_end = &in->near;
        in->loop->near_inboxes--;
    }
    pthread_mutex_lock(&in->lock);
    if (in->far) {
        chain_append(&end, in->far, in->far_end);
        in->far = NULL;
        in->far_end = &in->far;
    }
    /* Far senders add under the lock and near ones on this thread, so what is left weighs
     * nothing. */
    atomic_store_explicit(&in->weight, 0, memory_order_relaxed);
    pthread_mutex_unlock(&in->lock);
    return head;
}

void outbox_init(struct outbox *out, struct loop *from, struct inbox *to)
{
    *out = (struct outbox){.to = to, .from = from};
    out->end = &out->head;
}

/* Both ends are on this thread: no lock. The loop sees the count and does not sleep. */
static void post_near(struct inbox *in, struct entry *e)
{
    if (!in->near)
        in->loop->near_inboxes++;
    chain_append(&in->near_end, e, &e->next);
    atomic_fetch_add_explicit(&in->weight, e->weight, memory_order_relaxed);
}

void outbox_post(struct outbox *out, struct entry *e)
{
    e->next = NULL;
    if (out->from == out->to->loop) {
        post_near(out->to, e);
        return;
    }
    chain_append(&out->end, e, &e->next);
    out->weight += e->weight;
}

void outbox_flush(struct outbox *out)
{
    struct inbox *in = out->to;

    if (!out->head)
        return;
    pthread_mutex_lock(&in->lock);
    bool was_empty = !in->far;
    chain_append(&in->far_end, out->head, out->end);
    atomic_fetch_add_explicit(&in->weight, out->weight, memory_order_relaxed);
    pthread_mutex_unlock(&in->lock);
    out->head = NULL;
    out->end = &out->head;
    out->weight = 0;
    if (was_empty)
        loop_wake(in->loop);
}

size_t outbox_backlog(const struct outbox *out)
{
    return atomic_load_explicit(&out->to->weight, memory_order_relaxed) + out->weight;
}
