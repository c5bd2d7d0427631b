/* SPDX-License-Identifier: MIT */
/* What moderators decide, and what it keeps others from. */
#include "backplane/base/buf.h"
#include "backplane/order_text.h"
#include "backplane/seq_private.h"

static void count(struct sequencer *s)
{
    counter_set(&s->counters.sanctions, s->sanctions.count);
    counter_set(&s->counters.bans, s->sanctions.everywhere);
    counter_set(&s->counters.slow_rooms, s->pace.count);
}

void seq_moderate_turn(struct sequencer *s)
{
    if (!list_empty(&s->sanctions.ends))
        sanctions_expire(&s->sanctions, wall_ms());
    pace_expire(&s->pace, loop_now_ms(s->loop));
    count(s);
}

/* ---- what is refused ------------------------------------------------------------------------ */

/* The bytes as a string of its own; NULL: no memory, and then there are no words. */
static char *words(struct buf *b)
{
    buf_char(b, '\0');
    if (!b->failed)
        return b->p;
    buf_deinit(b);
    return NULL;
}

static char *words_of(const struct sanction *what)
{
    struct buf b = {0};
    buf_str(&b, what->kind == SANCTION_BAN ? "banned" : "muted");
    if (what->reason.n) {
        buf_lit(&b, ": ");
        buf_span(&b, what->reason);
    }
    return words(&b);
}

static enum err refuse(const struct sequencer *s, enum sanction_kind kind, struct span who,
                       struct span room, char **why)
{
    if (!s->sanctions.count)
        return OK;
    const struct sanction *what = sanctions_find(&s->sanctions, kind, who, room, wall_ms());
    if (!what)
        return OK;
    if (why)
        *why = words_of(what);
    return ERR_PERMISSION;
}

char *seq_words_for_wait(uint64_t ms)
{
    struct buf b = {0};
    buf_lit(&b, "slow mode: wait ");
    buf_u64(&b, (ms + 999) / 1000);
    buf_lit(&b, " s");
    return words(&b);
}

/* Where others decide together with us, it is left to the driver. */
static enum err wait_your_turn(struct sequencer *s, struct request_publish *p)
{
    if (s->driver->ops->shared) {
        p->commit.interval_ms = pace_of(&s->pace, p->room);
        return OK;
    }
    uint64_t ms = pace_take(&s->pace, p->room, p->who, loop_now_ms(s->loop));
    if (!ms)
        return OK;
    p->why = seq_words_for_wait(ms);
    return ERR_TOO_MANY_REQUESTS;
}

enum err seq_refuse_entry(const struct sequencer *s, struct span who, struct span room, char **why)
{
    return refuse(s, SANCTION_BAN, who, room, why);
}

enum err seq_refuse_words(const struct sequencer *s, struct span who, struct span room, char **why)
{
    enum err e = refuse(s, SANCTION_BAN, who, room, why);
    return e ? e : refuse(s, SANCTION_MUTE, who, room, why);
}

enum err seq_refuse_publication(struct sequencer *s, struct request_publish *p)
{
    if (!p->who.n)
        return OK;
    enum err e = seq_refuse_words(s, p->who, p->room, &p->why);
    return e ? e : wait_your_turn(s, p);
}

/* ---- what moderators ask -------------------------------------------------------------------- */

enum err seq_sanction(struct sequencer *s, const struct sanction *what, bool lift)
{
    enum err e = OK;
    if (lift)
        sanctions_lift(&s->sanctions, what->kind, what->user, what->room);
    else
        e = sanctions_put(&s->sanctions, what);
    count(s); /* before any answer: see sequencer_counters */
    return e;
}

enum err seq_slow_down(struct sequencer *s, struct span room, uint64_t interval_ms)
{
    enum err e = pace_set(&s->pace, room, interval_ms);
    count(s);
    return e;
}

void seq_forget_decisions(struct sequencer *s)
{
    sanctions_deinit(&s->sanctions);
    sanctions_init(&s->sanctions, s->config.max_sanctions);
    pace_deinit(&s->pace);
    pace_init(&s->pace, s->config.max_sanctions);
    count(s);
}

static void name_record(struct buf *b, const char *what, struct span room, struct span user)
{
    buf_str(b, what);
    buf_char(b, '\t'); /* which is in no name */
    buf_span(b, room);
    buf_char(b, '\t');
    buf_span(b, user);
}

static void share_sanction(struct sequencer *s, const struct request_sanction *q,
                           struct decision *d)
{
    struct buf id = {0};
    seq_control_id(s, &id);
    order_write_sanction(&d->text, (struct span){id.p, id.n}, &q->what, q->lift);
    name_record(&d->record, q->what.kind == SANCTION_BAN ? "ban" : "mute", q->what.room,
                q->what.user);
    d->erase = q->lift;
    d->text.failed |= id.failed;
    buf_deinit(&id);
}

void seq_on_sanction(struct sequencer *s, struct request *r)
{
    struct request_sanction *q = (struct request_sanction *)r;
    if (!s->driver->ops->records) {
        seq_answer(s, r, seq_sanction(s, &q->what, q->lift));
    } else if (!q->lift && s->sanctions.count >= s->sanctions.max) {
        seq_answer(s, r, ERR_LIMIT);
    } else {
        struct decision d = {0};
        share_sanction(s, q, &d);
        seq_control_give(s, r, &d);
    }
}

static bool list_one(void *owner, const struct sanction *what)
{
    struct request_sanctions *q = owner;
    struct buf *b = &q->json;
    buf_str(b, b->n > 1 ? ",{\"user\":" : "{\"user\":");
    buf_json(b, what->user);
    if (what->room.n) {
        buf_lit(b, ",\"channel\":");
        buf_json(b, what->room);
    }
    if (what->until_ms) {
        buf_lit(b, ",\"expire_at\":");
        buf_u64(b, what->until_ms / 1000);
    }
    if (what->reason.n) {
        buf_lit(b, ",\"reason\":");
        buf_json(b, what->reason);
    }
    buf_char(b, '}');
    return !b->failed && b->n < q->max_bytes;
}

void seq_on_sanctions(struct sequencer *s, struct request *r)
{
    struct request_sanctions *q = (struct request_sanctions *)r;
    struct buf *b = &q->json;
    buf_char(b, '[');
    sanctions_expire(&s->sanctions, wall_ms());
    sanctions_each(&s->sanctions, q->kind, q->user, q->room, list_one, q);
    buf_char(b, ']');
    enum err e = b->failed ? ERR_INTERNAL : b->n > q->max_bytes ? ERR_LIMIT : OK;
    if (e)
        buf_deinit(b);
    seq_answer(s, r, e);
}

static void share_pace(struct sequencer *s, const struct request_pace *q, struct decision *d)
{
    struct buf id = {0};
    seq_control_id(s, &id);
    order_write_pace(&d->text, (struct span){id.p, id.n}, q->room, q->interval_ms);
    name_record(&d->record, "slow_mode", q->room, (struct span){0});
    d->erase = !q->interval_ms;
    d->text.failed |= id.failed;
    buf_deinit(&id);
}

void seq_on_pace(struct sequencer *s, struct request *r)
{
    struct request_pace *q = (struct request_pace *)r;
    bool change = q->change && (q->interval_ms || pace_of(&s->pace, q->room));
    bool full = s->pace.count >= s->pace.max && !pace_of(&s->pace, q->room);
    if (change && s->driver->ops->records && !full) {
        struct decision d = {0};
        share_pace(s, q, &d);
        seq_control_give(s, r, &d);
        return;
    }
    enum err e = change ? seq_slow_down(s, q->room, q->interval_ms) : OK;
    q->interval_ms = pace_of(&s->pace, q->room);
    seq_answer(s, r, e);
}
