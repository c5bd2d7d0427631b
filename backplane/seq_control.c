/* SPDX-License-Identifier: MIT */
#include "backplane/seq_control.h"

#include "backplane/base/log.h"
#include "backplane/base/map.h"
#include "backplane/order_text.h"
#include "backplane/push.h"
#include "backplane/seq_private.h"

#include <stdlib.h>

/* What the driver could not do is begun again. */
#define RETRY_MS 250
/* Who gave an order waits no longer than that for it to come back from the stream. */
#define UNHEARD_MS 1000
#define READ_BYTES ((size_t)16 * 1024 * 1024)

static const struct stream_limits limits = {CONTROL_KEPT, CONTROL_KEPT_BYTES, CONTROL_KEPT_MS};

/* An order on its way to the stream. */
struct given {
    struct commit commit;
    struct list link;
    struct request *request;
    uint64_t since_ms;
    char name[]; /* of its record */
};

bool seq_control_is(const struct sequencer *s, const struct stream_ref *ref)
{
    return ref == &s->control.ref;
}

/* ---- what is carried out here --------------------------------------------------------------- */

void seq_post_control(struct sequencer *s, struct control *c)
{
    for (uint32_t i = 0; i < s->rooms.hubs; i++) {
        struct entry *e = &control_ref(c)->entries[i].entry;
        e->kind = HUB_CONTROL;
        outbox_post(&s->ports[i].out, e);
    }
}

static void recall_all(struct sequencer *s, const char *why)
{
    struct control *c = control_new(CONTROL_RECALL, s->rooms.hubs, 0);
    if (!c)
        abort(); /* without it who was banned would stay */
    log_warn("%s: all clients are to connect again", why);
    counter_add(&s->counters.recalls, 1);
    seq_post_control(s, c);
    control_unref(c);
}

static enum err to_sessions(struct sequencer *s, const struct order *o, struct scratch *mem)
{
    struct control *c;
    enum err e = order_control(o, mem, s->rooms.hubs, &c);
    if (e)
        return e;
    seq_post_control(s, c);
    control_unref(c);
    return OK;
}

static enum err to_moderation(struct sequencer *s, const struct order *o, struct scratch *mem)
{
    struct sanction what;
    (void)mem;
    enum err e = order_sanction(o, &what);
    return e ? e : seq_sanction(s, &what, o->lift);
}

static enum err to_pace(struct sequencer *s, const struct order *o, struct scratch *mem)
{
    (void)mem;
    return o->channel.n ? seq_slow_down(s, o->channel, o->interval_ms) : ERR_BAD_REQUEST;
}

/* Does what an order says, here. */
static void obey(struct sequencer *s, struct span text)
{
    static enum err (*const carry_out[ORDER_KINDS])(struct sequencer *, const struct order *,
                                                    struct scratch *) = {
        [ORDER_CONTROL] = to_sessions,
        [ORDER_SANCTION] = to_moderation,
        [ORDER_PACE] = to_pace,
    };
    struct order o;
    char *memory = malloc(text.n + 1);
    struct scratch mem = {memory, memory + text.n};
    enum err e = memory ? order_read(&mem, text, &o) : ERR_INTERNAL;
    if (!e && s->control.recollecting && o.kind != ORDER_CONTROL)
        s->control.outdated = true;
    if (!e)
        e = carry_out[o.kind](s, &o, &mem);
    free(memory);
    if (e == ERR_INTERNAL)
        recall_all(s, "an order could not be carried out for want of memory");
    else if (e)
        log_warn("an order of another program is not carried out (%s): %.*s", err_text(e),
                 (int)(text.n < 200 ? text.n : 200), text.p);
}

/* ---- what is to be in force ------------------------------------------------------------------ */

struct recollection {
    struct share share;
    struct sequencer *sequencer;
};

static void arm(struct sequencer *s);
static void recollect(struct sequencer *s);
static void now_known(struct sequencer *s);

/* What was decided while the records were read may not be in them: then nothing is forgotten yet,
 * and they are read again. */
static void remember_decisions(struct sequencer *s, const struct share *records)
{
    if (!s->control.outdated)
        seq_forget_decisions(s);
    for (size_t i = 0; i < records->answers; i++)
        obey(s, records->answer[i]);
    now_known(s);
    if (s->control.outdated)
        recollect(s);
}

static void recollected(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    s->control.recollecting = false;
    if (share->error) {
        s->control.outdated = true;
        arm(s);
    } else {
        remember_decisions(s, share);
    }
    free(container_of(share, struct recollection, share));
}

/* Bans, mutes and slow rooms as they are kept. */
static void recollect(struct sequencer *s)
{
    struct seq_control *k = &s->control;
    k->outdated = true;
    if (k->recollecting)
        return;
    struct recollection *r = calloc(1, sizeof(*r));
    if (!r) {
        arm(s);
        return;
    }
    k->outdated = false;
    k->recollecting = true;
    r->share.verb = SHARE_RECORDS;
    r->share.room = k->ref.name;
    r->share.done = recollected;
    s->driver->ops->share(s->driver, &r->share);
}

/* Before there is a driver. Told of others' records: they stay. */
bool seq_control_recorded(void *owner, struct span stream, struct span data)
{
    struct sequencer *s = owner;
    struct sanction what;
    struct order o;
    if (!span_eq(stream, SPAN(CONTROL_STREAM)))
        return true;
    char *memory = malloc(data.n + 1);
    struct scratch mem = {memory, memory + data.n};
    bool over = memory && !order_read(&mem, data, &o) && o.kind == ORDER_SANCTION &&
                !order_sanction(&o, &what) && what.until_ms && what.until_ms <= wall_ms();
    free(memory);
    if (!over)
        obey(s, data);
    return !over;
}

/* ---- the first time ------------------------------------------------------------------------- */

static void let_in(struct sequencer *s)
{
    if (counter_get(&s->counters.open))
        return;
    counter_set(&s->counters.open, 1);
    if (s->config.opened)
        s->config.opened(s->config.owner);
}

/* Where the stream ends, and what is in force: from here on no order can pass a session by. */
static void now_known(struct sequencer *s)
{
    struct seq_control *k = &s->control;
    if (k->known)
        return;
    k->known = true;
    loop_cancel(s->loop, &k->patience);
    if (counter_get(&s->counters.open))
        recall_all(s, "orders could not be heard until now");
    let_in(s);
}

static void on_patience(struct timer *t)
{
    log_warn("orders cannot be heard yet: who connects meanwhile will have to connect again");
    let_in(container_of(t, struct sequencer, control.patience));
}

/* ---- the stream ----------------------------------------------------------------------------- */

static void remember(struct seq_control *k, const struct msg *m)
{
    struct span data = msg_data(m);
    k->last[0] = map_hash(data.p, data.n, 0);
    k->last[1] = map_hash(data.p, data.n, 1);
}

static bool is_last(const struct seq_control *k, const struct msg *m)
{
    struct span data = msg_data(m);
    return k->last[0] == map_hash(data.p, data.n, 0) && k->last[1] == map_hash(data.p, data.n, 1);
}

/* At first the newest order, to know it again; later all from that one on. */
static void begin_read(struct sequencer *s)
{
    struct seq_control *k = &s->control;
    if (k->reading || (k->started && !k->mending))
        return;
    k->reading = true;
    k->read = (struct stream_read){.room = &k->ref, .limits = limits, .purpose = FOR_CONTROL};
    k->read.reverse = !k->started;
    k->read.since = !k->started ? UINT64_MAX : k->at.offset ? k->at.offset - 1 : 0;
    k->read.max_count = k->started ? UINT32_MAX : 1;
    k->read.max_bytes = READ_BYTES;
    s->driver->ops->read(s->driver, &k->read);
}

static void heard(struct sequencer *s)
{
    struct seq_control *k = &s->control;
    while (!list_empty(&k->unheard)) {
        struct given *g = container_of(k->unheard.next, struct given, link);
        bool late = loop_now_ms(s->loop) - g->since_ms >= UNHEARD_MS;
        bool past = memcmp(g->commit.at.epoch, k->at.epoch, EPOCH_MAX) == 0 &&
                    g->commit.at.offset <= k->at.offset;
        if (!late && !past)
            return;
        list_del(&g->link);
        seq_answer(s, g->request, OK);
        free(g);
    }
}

static void on_timer(struct timer *t)
{
    struct sequencer *s = container_of(t, struct sequencer, control.timer);
    begin_read(s);
    if (s->control.outdated)
        recollect(s);
    heard(s);
    if (!list_empty(&s->control.unheard))
        arm(s);
}

static void arm(struct sequencer *s)
{
    if (!timer_armed(&s->control.timer) && !s->control.closing)
        loop_arm(s->loop, &s->control.timer, RETRY_MS, on_timer);
}

static void stand_at(struct sequencer *s, const struct stream_read *r)
{
    struct seq_control *k = &s->control;
    k->at = r->top;
    if (r->count)
        remember(k, r->pubs[k->started ? r->count - 1 : 0]);
    k->mending = false;
    k->started = true;
    recollect(s);
    heard(s);
}

/* The order that came last stands where it stood, and behind it all that follow; or none had come
 * yet, and all are here. */
static bool goes_on(const struct seq_control *k, const struct stream_read *r)
{
    if (!r->count)
        return !k->at.offset && !r->top.offset;
    if (r->pubs[r->count - 1]->offset != r->top.offset)
        return false;
    return k->at.offset ? r->pubs[0]->offset == k->at.offset && is_last(k, r->pubs[0])
                        : r->pubs[0]->offset == 1;
}

static void mend(struct sequencer *s, const struct stream_read *r)
{
    size_t known = s->control.at.offset ? 1 : 0;
    if (!goes_on(&s->control, r)) {
        recall_all(s, "orders are missing");
        return;
    }
    for (size_t i = known; i < r->count; i++)
        obey(s, msg_data(r->pubs[i]));
}

void seq_control_read(struct sequencer *s, struct stream_read *r)
{
    struct seq_control *k = &s->control;
    k->reading = false;
    if (r->error) {
        arm(s);
        return;
    }
    if (k->started)
        mend(s, r);
    stand_at(s, r);
    stream_read_deinit(r);
}

void seq_control_published(struct sequencer *s, struct msg *m, const struct position *at)
{
    struct seq_control *k = &s->control;
    if (!at->offset || !k->started || k->mending)
        return; /* what is being read shows it */
    k->at = *at;
    remember(k, m);
    obey(s, msg_data(m));
    heard(s);
}

void seq_control_lost(struct sequencer *s, const struct position *top)
{
    (void)top;
    s->control.mending = true;
    begin_read(s);
}

/* ---- giving orders -------------------------------------------------------------------------- */

void seq_control_committed(struct sequencer *s, struct commit *c)
{
    struct given *g = container_of(c, struct given, commit);
    bool alone = !s->driver->ops->shared;
    if (alone && !c->error)
        obey(s, msg_data(c->msg));
    msg_unref(c->msg);
    if (c->error || alone) {
        seq_answer(s, g->request, c->error);
        free(g);
        return;
    }
    g->since_ms = loop_now_ms(s->loop);
    list_push(&s->control.unheard, &g->link);
    heard(s);
    arm(s);
}

void seq_control_id(struct sequencer *s, struct buf *id)
{
    buf_str(id, s->config.node ? s->config.node : "");
    buf_char(id, '-');
    buf_u64(id, ++s->control.count);
}

static struct given *given_new(const struct decision *d)
{
    static const struct span none;
    struct given *g =
        d->text.failed || d->record.failed ? NULL : calloc(1, sizeof(*g) + d->record.n);
    if (!g)
        return NULL;
    char *at = g->name;
    g->commit.limits = limits;
    g->commit.record = span_copy(&at, (struct span){d->record.p, d->record.n});
    g->commit.erase = d->erase;
    g->commit.msg =
        push_open(SPAN(CONTROL_STREAM), (struct span){d->text.p, d->text.n}, none, none);
    if (g->commit.msg)
        return g;
    free(g);
    return NULL;
}

void seq_control_give(struct sequencer *s, struct request *r, struct decision *d)
{
    struct given *g = given_new(d);
    buf_deinit(&d->text);
    buf_deinit(&d->record);
    if (!g) {
        seq_answer(s, r, ERR_INTERNAL);
        return;
    }
    if (!s->driver->ops->shared)
        g->commit.limits = (struct stream_limits){0}; /* nobody else is to hear of it */
    g->request = r;
    g->commit.room = &s->control.ref;
    s->driver->ops->commit(s->driver, &g->commit);
}

/* ---- life ----------------------------------------------------------------------------------- */

enum err seq_control_open(struct sequencer *s)
{
    struct seq_control *k = &s->control;
    k->ref.name = SPAN(CONTROL_STREAM);
    if (!s->driver->ops->shared) {
        let_in(s);
        return OK;
    }
    loop_arm(s->loop, &k->patience, s->config.patience_ms, on_patience);
    k->watching = s->driver->ops->watch(s->driver, &k->ref);
    return k->watching ? OK : ERR_INTERNAL;
}

void seq_control_returned(struct sequencer *s)
{
    begin_read(s);
    if (s->control.started)
        recollect(s);
}

void seq_control_close(struct sequencer *s)
{
    s->control.closing = true;
    loop_cancel(s->loop, &s->control.timer);
    loop_cancel(s->loop, &s->control.patience);
    if (s->control.watching)
        s->driver->ops->unwatch(s->driver, &s->control.ref);
}

void seq_control_forget(struct sequencer *s)
{
    while (!list_empty(&s->control.unheard))
        free(container_of(list_shift(&s->control.unheard), struct given, link));
    if (s->control.watching || s->control.ref.state)
        s->driver->ops->forget(s->driver, &s->control.ref);
}
