/* SPDX-License-Identifier: MIT */
/* This gateway's lease among others, and what becomes of those whose lease has run out. */
#include "backplane/base/fields.h"
#include "backplane/seq_private.h"

#include <stdlib.h>

#define BURIED_AT_ONCE 200 /* members */

struct lease_call {
    struct share share;
    char numbers[3][U64_TEXT_MAX];
    char name[64]; /* of a dead gateway */
};

static void add_u64(struct lease_call *c, int i, uint64_t v)
{
    c->share.words[c->share.count++] = (struct span){c->numbers[i], u64_text(c->numbers[i], v)};
}

static void buried(void *owner, struct share *share);

static void bury(struct sequencer *s, struct span dead)
{
    struct lease_call *c = calloc(1, sizeof(*c));
    if (!c || dead.n > sizeof(c->name) || s->shared.closing) {
        free(c);
        return; /* the next beat finds it again */
    }
    memcpy(c->name, dead.p, dead.n);
    c->share.verb = SHARE_BURY;
    c->share.done = buried;
    c->share.words[c->share.count++] = (struct span){c->name, dead.n};
    add_u64(c, 0, BURIED_AT_ONCE);
    add_u64(c, 1, JOIN_LEAVE_MEMBERS_MAX);
    add_u64(c, 2, LEASE_MS);
    s->shared.burying = true;
    s->driver->ops->share(s->driver, &c->share);
}

static void buried(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    struct lease_call *c = container_of(share, struct lease_call, share);
    bool more = !share->error && share->answers && span_eq(share->answer[0], SPAN("1"));
    s->shared.burying = false;
    if (more)
        bury(s, (struct span){c->name, strnlen(c->name, sizeof(c->name))});
    free(c);
}

static uint64_t number(struct span s)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    return v;
}

static void describe(const struct sequencer *s, struct buf *b)
{
    if (s->config.describe)
        s->config.describe(s->config.owner, b);
    else
        buf_lit(b, "{}");
}

/* Anybody may have written it. */
static bool is_of_another(const struct sequencer *s, struct span record)
{
    struct span uid = {0};
    struct scratch none = {0};
    static const struct field field = {"uid", FIELD_STRING, 0};
    bool line = record.n && !memchr(record.p, '\n', record.n);
    return line && object_read(&none, record, &field, 1, &uid) && uid.n &&
           !span_eq(uid, span_str(s->config.node));
}

static void note_others(struct sequencer *s, const struct span *records, size_t n)
{
    struct buf *b = &s->shared.others;
    buf_clear(b);
    for (size_t i = 0; i < n; i++) {
        if (!is_of_another(s, records[i]))
            continue;
        buf_char(b, ',');
        buf_span(b, records[i]);
    }
    if (b->failed)
        buf_deinit(b);
}

void seq_on_gateways(struct sequencer *s, struct request *r)
{
    struct request_gateways *q = (struct request_gateways *)r;
    describe(s, &q->json);
    buf_add(&q->json, s->shared.others.p, s->shared.others.n);
    seq_answer(s, r, q->json.failed ? ERR_INTERNAL : OK);
}

static void beaten(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    s->shared.beating = false;
    if (!share->error && share->answers >= 2) {
        uint64_t dead = number(share->answer[1]);
        if (span_eq(share->answer[0], SPAN("1")))
            seq_presence_doubt_all(s, true);
        else
            seq_presence_go_on(s);
        if (dead > share->answers - 2)
            dead = share->answers - 2;
        counter_set(&s->counters.gateways, share->answers - 2 - dead);
        note_others(s, share->answer + 2 + dead, share->answers - 2 - dead);
        if (dead && !s->shared.burying)
            bury(s, share->answer[2]);
    }
    free(container_of(share, struct lease_call, share));
}

static void beat(struct sequencer *s)
{
    struct lease_call *c = s->shared.beating ? NULL : calloc(1, sizeof(*c));
    if (!c)
        return;
    c->share.verb = SHARE_BEAT;
    c->share.done = beaten;
    add_u64(c, 0, LEASE_MS);
    struct buf record = {0};
    describe(s, &record);
    c->share.words[c->share.count++] =
        record.failed ? SPAN("{}") : (struct span){record.p, record.n};
    s->shared.beating = true;
    s->driver->ops->share(s->driver, &c->share);
    buf_deinit(&record);
}

static void on_beat(struct timer *t)
{
    struct sequencer *s = container_of(t, struct sequencer, shared.beat);
    loop_arm(s->loop, t, BEAT_MS, on_beat);
    beat(s);
}

void seq_shared_open(struct sequencer *s)
{
    list_init(&s->shared.unsure);
    list_init(&s->shared.stale);
    if (s->driver->ops->shared)
        loop_arm(s->loop, &s->shared.beat, BEAT_MS, on_beat);
}

void seq_shared_returned(struct sequencer *s)
{
    beat(s);
}

void seq_shared_close(struct sequencer *s)
{
    s->shared.closing = true;
    loop_cancel(s->loop, &s->shared.beat);
    buf_deinit(&s->shared.others);
}
