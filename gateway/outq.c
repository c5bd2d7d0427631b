/* SPDX-License-Identifier: MIT */
#include "gateway/outq.h"

#include <stdlib.h>

/* A streamed reply leaves in fragments of at most this much, so that others' writes come
 * between. */
#define FRAGMENT_MAX (32 * 1024)

struct out_node {
    struct out_node *next;
    struct msg *msg;            /* either */
    struct stream_reply *reply; /* or */
    uint64_t since_ms;
    bool answer;
};

struct outq *outq_new(void)
{
    struct outq *q = calloc(1, sizeof(*q));
    if (q)
        q->end = &q->head;
    return q;
}

static void drop_head(struct outq *q)
{
    struct out_node *n = q->head;
    q->head = n->next;
    if (!q->head)
        q->end = &q->head;
    msg_unref(n->msg);
    stream_reply_free(n->reply);
    free(n);
}

void outq_free(struct outq *q)
{
    if (!q)
        return;
    while (q->head)
        drop_head(q);
    free(q);
}

static struct out_node *append(struct outq *q, uint64_t now_ms)
{
    struct out_node *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->since_ms = now_ms;
    *q->end = n;
    q->end = &n->next;
    return n;
}

static void account(struct outq *q, const struct out_node *n, size_t added, size_t removed)
{
    q->bytes += added - removed;
    if (n->answer)
        q->answers += added - removed;
}

bool outq_add(struct outq *q, struct msg *m, bool answer, uint64_t now_ms)
{
    struct out_node *n = append(q, now_ms);
    if (!n)
        return false;
    n->msg = msg_ref(m);
    n->answer = answer;
    account(q, n, msg_frame(m).n, 0);
    return true;
}

bool outq_add_reply(struct outq *q, struct stream_reply *r, uint64_t now_ms)
{
    struct out_node *n = append(q, now_ms);
    if (!n) {
        stream_reply_free(r);
        return false;
    }
    n->reply = r;
    n->answer = true;
    account(q, n, stream_reply_bytes(r), 0);
    return true;
}

/* Takes one fragment of the reply at the head. */
static size_t take_fragment(struct outq *q, uint64_t now_ms, char *to, size_t cap)
{
    struct stream_reply *r = q->head->reply;
    size_t before = r->taken;
    bool last;
    size_t n = stream_reply_fragment(r, to, cap < FRAGMENT_MAX ? cap : FRAGMENT_MAX, &last);
    account(q, q->head, 0, r->taken - before);
    q->head->since_ms = now_ms;
    if (last)
        drop_head(q);
    return n;
}

size_t outq_take(struct outq *q, uint64_t now_ms, char *to, size_t cap, struct msg **big)
{
    size_t n = 0;
    *big = NULL;
    while (q->head) {
        if (q->head->reply) {
            if (n + FRAGMENT_MAX > cap)
                break;
            n += take_fragment(q, now_ms, to + n, cap - n);
            continue;
        }
        struct span f = msg_frame(q->head->msg);
        if (f.n > cap && !n) {
            *big = msg_ref(q->head->msg);
            account(q, q->head, 0, f.n);
            drop_head(q);
            return f.n;
        }
        if (n + f.n > cap)
            break;
        memcpy(to + n, f.p, f.n);
        n += f.n;
        account(q, q->head, 0, f.n);
        drop_head(q);
    }
    return n;
}

bool outq_empty(const struct outq *q)
{
    return !q->head;
}

uint64_t outq_oldest_ms(const struct outq *q)
{
    return q->head ? q->head->since_ms : UINT64_MAX;
}
