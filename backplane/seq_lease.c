/* SPDX-License-Identifier: MIT */
/* This gateway's lease among others, and what becomes of those whose lease has run out. */
#include "backplane/base/json.h"
#include "backplane/seq_private.h"

#include <stdlib.h>

#define BURIED_AT_ONCE 200 /* members */

struct lease_call {
    struct share share;
    char numbers[3][U64_TEXT_MAX];
    char name[64]; /* of a dead gateway */
    bool look;     /* somebody waits for what is seen */
};

static void add_u64(struct lease_call *c, int i, uint64_t v)
{
    share_add_u64(&c->share, c->numbers[i], v);
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

static void describe(const struct sequencer *s, struct buf *b)
{
    if (s->config.describe)
        s->config.describe(s->config.owner, b);
    else
        buf_lit(b, "{}");
}

/* Anybody may have written it. */
static bool is_object(struct span record)
{
    struct span value;
    return record.n && !memchr(record.p, '\n', record.n) &&
           json_document(record, JSON_MAX_DEPTH, &value) && value.p[0] == '{';
}

static void note_others(struct sequencer *s, const struct span *living, size_t n)
{
    struct buf *b = &s->shared.others;
    buf_clear(b);
    for (size_t i = 0; i + 1 < n; i += 2) {
        if (span_eq(living[i], span_str(s->config.node)) || !is_object(living[i + 1]))
            continue;
        buf_char(b, ',');
        buf_span(b, living[i + 1]);
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

static void beat(struct sequencer *s);

/* The dead, then the living, each with what it tells of itself. */
static void see(struct sequencer *s, const struct share *share, bool look)
{
    const struct span *gateways = share->answer + 2;
    size_t n = share->answers - 2;
    uint64_t dead = share_number(share, 1);
    if (dead > n)
        dead = n;
    counter_set(&s->counters.gateways, (n - dead) / 2);
    note_others(s, gateways + dead, n - dead);
    if (dead && !s->shared.burying)
        bury(s, gateways[0]);
    if (look)
        seq_survey_seen(s, OK, gateways + dead, n - dead);
}

/* Nothing that we have shared is there any more, or will be soon. */
static void doubt_all(struct sequencer *s)
{
    seq_presence_doubt_all(s, true);
    seq_claims_doubt(s, true);
}

static void go_on(struct sequencer *s)
{
    seq_presence_go_on(s);
    seq_claims_go_on(s);
}

static void beaten(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    struct lease_call *c = container_of(share, struct lease_call, share);
    /* At the end it may come with what some servers said: what that would be noted in is gone. */
    bool well = !share->error && share->answers >= 2 && !s->shared.closing;
    bool look = c->look && !s->shared.look; /* who has asked since waits for the next one */
    s->shared.beating = false;
    if (well && span_eq(share->answer[0], SPAN("1")))
        doubt_all(s);
    else if (well)
        go_on(s);
    if (well)
        see(s, share, look);
    else if (look)
        seq_survey_seen(s, ERR_INTERNAL, NULL, 0);
    free(c);
    if (s->shared.again)
        beat(s);
}

static void beat(struct sequencer *s)
{
    struct lease_call *c = s->shared.beating || s->shared.closing ? NULL : calloc(1, sizeof(*c));
    if (!c)
        return;
    c->look = s->shared.look;
    s->shared.look = s->shared.again = false;
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

/* Not the one that is under way: it may be too early for what is to be heard, or told. */
static void beat_anew(struct sequencer *s)
{
    s->shared.again = true;
    beat(s);
}

void seq_look_around(struct sequencer *s)
{
    s->shared.look = true;
    beat_anew(s);
}

void seq_shared_returned(struct sequencer *s)
{
    beat_anew(s);
}

void seq_shared_close(struct sequencer *s)
{
    s->shared.closing = true;
    loop_cancel(s->loop, &s->shared.beat);
    buf_deinit(&s->shared.others);
}
