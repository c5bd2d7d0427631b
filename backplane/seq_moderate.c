/* SPDX-License-Identifier: MIT */
/* What moderators decide, and what it keeps others from. */
#include "backplane/base/buf.h"
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

static enum err slow_down(struct sequencer *s, struct span who, struct span room, char **why)
{
    uint64_t ms = pace_take(&s->pace, room, who, loop_now_ms(s->loop));
    struct buf b = {0};
    if (!ms)
        return OK;
    buf_lit(&b, "slow mode: wait ");
    buf_u64(&b, (ms + 999) / 1000);
    buf_lit(&b, " s");
    *why = words(&b);
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

enum err seq_refuse_publication(struct sequencer *s, struct span who, struct span room, char **why)
{
    if (!who.n)
        return OK;
    enum err e = seq_refuse_words(s, who, room, why);
    return e ? e : slow_down(s, who, room, why);
}

/* ---- what moderators ask -------------------------------------------------------------------- */

void seq_on_sanction(struct sequencer *s, struct request *r)
{
    struct request_sanction *q = (struct request_sanction *)r;
    enum err e = OK;
    if (q->lift)
        sanctions_lift(&s->sanctions, q->what.kind, q->what.user, q->what.room);
    else
        e = sanctions_put(&s->sanctions, &q->what);
    count(s); /* before the answer: see sequencer_counters */
    seq_answer(s, r, e);
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

void seq_on_pace(struct sequencer *s, struct request *r)
{
    struct request_pace *q = (struct request_pace *)r;
    enum err e = q->change ? pace_set(&s->pace, q->room, q->interval_ms) : OK;
    q->interval_ms = pace_of(&s->pace, q->room);
    count(s);
    seq_answer(s, r, e);
}
