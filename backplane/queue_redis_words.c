/* SPDX-License-Identifier: MIT */
/* Operations as words; backplane/lua/ tells what each of them is. */
#include "backplane/base/count.h"

#include "backplane/queue_redis_private.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- words ----------------------------------------------------------------------------------- */

static void begin(struct queue_words *w)
{
    w->n = w->keys = 0;
    buf_clear(&w->text);
}

static void add(struct queue_words *w, struct span s)
{
    assert(w->n < QUEUE_WORDS_MAX);
    w->built[w->n] = 0;
    w->list[w->n++] = s.p ? s : SPAN("");
}

/* What was appended to the text since. */
static void add_built(struct queue_words *w, size_t from)
{
    assert(w->n < QUEUE_WORDS_MAX);
    w->built[w->n] = from + 1;
    w->list[w->n++] = (struct span){.n = w->text.n - from};
}

static void add_u64(struct queue_words *w, uint64_t v)
{
    size_t from = w->text.n;
    buf_u64(&w->text, v);
    add_built(w, from);
}

static void add_key(struct queue_words *w, const char *kind, struct span name)
{
    size_t from = w->text.n;
    buf_str(&w->text, w->prefix);
    buf_char(&w->text, ':');
    buf_str(&w->text, kind);
    if (name.n) {
        buf_char(&w->text, ':');
        buf_span(&w->text, name);
    }
    add_built(w, from);
    w->keys++;
}

/* From here on nothing is built, so the text stays where it is. */
static bool seal(struct queue_words *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->built[i])
            w->list[i].p = w->text.p ? w->text.p + w->built[i] - 1 : "";
    return !w->text.failed;
}

/* ---- what is common -------------------------------------------------------------------------- */

static void begin_keys(struct queue_words *w)
{
    begin(w);
    add_key(w, "jobs", (struct span){0});
    add_key(w, "queues", (struct span){0});
    add_key(w, "queues.due", (struct span){0});
}

static void add_keys(struct queue_words *w, struct span queue)
{
    static const char *const kinds[QUEUE_KEYS_EACH] = {
        "queue",         "queue.job",    "queue.data",  "queue.ready",   "queue.lease",
        "queue.delayed", "queue.expire", "queue.group", "queue.blocked", "queue.key",
        "queue.ends",    "queue.result", "queue.dead",  "queue.buried",
    };
    for (size_t i = 0; i < QUEUE_KEYS_EACH; i++)
        add_key(w, kinds[i], queue);
}

static void add_rules(struct queue_words *w, const struct queue_rules *r)
{
    if (!r) {
        add(w, (struct span){0});
        return;
    }
    const uint64_t v[] = {
        r->max_failures, r->max_deliveries, r->backoff_ms,   r->backoff_cap_ms, r->max_jobs,
        r->max_bytes,    r->max_data,       r->key_ms,       r->dead_ms,        r->dead_jobs,
        r->result_ms,    r->drop_expired,   r->max_inflight,
    };
    size_t from = w->text.n;
    for (size_t i = 0; i < COUNT_OF(v); i++) {
        if (i)
            buf_char(&w->text, ' ');
        buf_u64(&w->text, v[i]);
    }
    add_built(w, from);
}

static uint32_t random_of(const struct queue_redis *q)
{
    return (uint32_t)q->base.config.random();
}

/* The words that nearly all begin with. */
static void add_beginning(struct queue_words *w, const struct queue_redis *q,
                          const struct queue_ref *queue)
{
    add(w, span_str(q->origin));
    add(w, queue->name);
    add_rules(w, queue->rules);
}

static void add_head(struct queue_words *w, const struct queue_ride *r)
{
    begin_keys(w);
    add_keys(w, r->op->queue.name);
    add_beginning(w, r->queue, &r->op->queue);
}

/* ---- put ------------------------------------------------------------------------------------- */

static void member(struct buf *b, const char *name)
{
    buf_char(b, b->p[b->n - 1] == '{' ? ' ' : ',');
    buf_char(b, '"');
    buf_str(b, name);
    buf_lit(b, "\":");
}

static void number(struct buf *b, const char *name, uint64_t v)
{
    if (!v || b->failed)
        return;
    member(b, name);
    buf_u64(b, v);
}

static void string(struct buf *b, const char *name, struct span s)
{
    if (!s.n || b->failed)
        return;
    member(b, name);
    buf_json(b, s);
}

static void flag(struct buf *b, const char *name, bool set)
{
    if (!set || b->failed)
        return;
    member(b, name);
    buf_lit(b, "true");
}

/* What is not as usual, as JSON; nothing if all is. */
static void add_options(struct queue_words *w, const struct queue_job *j)
{
    struct buf *b = &w->text;
    size_t from = b->n;
    buf_char(b, '{');
    size_t empty = b->n;
    number(b, "delay_ms", j->delay_ms);
    number(b, "at_ms", j->at_ms);
    number(b, "ttl_ms", j->ttl_ms);
    number(b, "priority", j->priority);
    number(b, "max_failures", j->max_failures);
    string(b, "group", j->group);
    string(b, "key", j->key);
    number(b, "key_ms", j->key_ms);
    flag(b, "window", j->key_mode == KEY_WINDOW);
    flag(b, "again", j->again);
    string(b, "once", j->once);
    number(b, "once_ms", j->once_ms);
    if (b->n == empty)
        b->n = from;
    else
        buf_char(b, '}');
    add_built(w, from);
}

static void add_job(struct queue_words *w, const struct queue_job *j)
{
    add(w, j->kind);
    add(w, j->data);
    add_options(w, j);
}

static void put_words(struct queue_words *w, const struct queue_ride *r,
                      const struct queue_place *p)
{
    const struct queue_put *put = container_of(r->op, struct queue_put, op);
    add_head(w, r);
    for (size_t i = 0; i < put->count; i++) {
        const struct queue_job *j = &put->jobs[i];
        if (j->status == PUT_BAD || queue_place_of_job(r, j) != p)
            continue;
        add_job(w, j);
    }
}

/* ---- take, settle ---------------------------------------------------------------------------- */

static void take_words(struct queue_words *w, const struct queue_ride *r,
                       const struct queue_place *p)
{
    const struct queue_take *t = container_of(r->op, struct queue_take, op);
    (void)p;
    begin_keys(w);
    for (size_t i = 0; i < t->queue_count; i++)
        add_keys(w, t->queues[i].name);
    add(w, span_str(r->queue->origin));
    add_u64(w, random_of(r->queue));
    add_u64(w, queue_ride_wants(r));
    add_u64(w, t->max_bytes ? t->max_bytes - r->bytes : 0);
    add_u64(w, t->lease_ms);
    add(w, t->owner);
    size_t from = w->text.n;
    buf_fmt(&w->text, "%016" PRIx64, r->queue->base.config.random());
    add_built(w, from);
    for (size_t i = 0; i < t->queue_count; i++) {
        add(w, t->queues[i].name);
        add_rules(w, t->queues[i].rules);
    }
}

static void add_ms(struct queue_words *w, enum queue_verb verb, const struct queue_item *item)
{
    if (verb == QUEUE_NACK && item->fatal)
        add(w, SPAN("fatal"));
    else if (verb == QUEUE_EXTEND || (verb == QUEUE_NACK && item->ms != QUEUE_BACKOFF))
        add_u64(w, item->ms);
    else
        add(w, (struct span){0});
}

static void settle_words(struct queue_words *w, const struct queue_ride *r,
                         const struct queue_place *p)
{
    static const char *const names[QUEUE_VERBS] = {[QUEUE_ACK] = "ack",
                                                   [QUEUE_NACK] = "nack",
                                                   [QUEUE_RELEASE] = "release",
                                                   [QUEUE_EXTEND] = "extend",
                                                   [QUEUE_CANCEL] = "cancel"};
    const struct queue_settle *s = container_of(r->op, struct queue_settle, op);
    bool says = r->op->verb == QUEUE_ACK || r->op->verb == QUEUE_NACK;
    add_head(w, r);
    add_u64(w, random_of(r->queue));
    add(w, span_str(names[r->op->verb]));
    for (size_t i = 0; i < s->count; i++) {
        const struct queue_item *item = &s->items[i];
        if (queue_place_of_id(r->queue, item->id) != p)
            continue;
        add_u64(w, item->id);
        add(w, item->token);
        add_ms(w, r->op->verb, item);
        add(w, says ? item->text : (struct span){0});
    }
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void begin_look(struct queue_words *w, const struct queue_ride *r, const char *what)
{
    begin_keys(w);
    add_keys(w, r->op->queue.name);
    add(w, r->op->queue.name);
    add_rules(w, r->op->queue.rules);
    add(w, span_str(what));
}

static void get_words(struct queue_words *w, const struct queue_ride *r,
                      const struct queue_place *p)
{
    (void)p;
    begin_look(w, r, "get");
    add_u64(w, container_of(r->op, struct queue_look, op)->id);
}

static void dead_words(struct queue_words *w, const struct queue_ride *r,
                       const struct queue_place *p)
{
    const struct queue_list *l = container_of(r->op, struct queue_list, op);
    (void)p;
    begin_look(w, r, "dead");
    add_u64(w, l->after);
    add_u64(w, l->max);
}

static void stats_words(struct queue_words *w, const struct queue_ride *r,
                        const struct queue_place *p)
{
    (void)p;
    begin_look(w, r, "stats");
    add(w, container_of(r->op, struct queue_stats, op)->recount ? SPAN("1") : SPAN("0"));
}

static void pick_words(struct queue_words *w, const struct queue_ride *r,
                       const struct queue_place *p)
{
    const struct queue_pick *pick = container_of(r->op, struct queue_pick, op);
    add_head(w, r);
    add(w, r->op->verb == QUEUE_RETRY ? SPAN("retry") : SPAN("purge"));
    add_u64(w, pick->delay_ms);
    add_u64(w, pick->before_ms);
    add_u64(w, queue_ride_wants(r));
    for (size_t i = 0; i < pick->count; i++)
        if (queue_place_of_id(r->queue, pick->ids[i]) == p)
            add_u64(w, pick->ids[i]);
}

static void control_words(struct queue_words *w, const struct queue_ride *r,
                          const struct queue_place *p)
{
    static const char *const names[QUEUE_VERBS] = {
        [QUEUE_PAUSE] = "pause", [QUEUE_DRAIN] = "drain", [QUEUE_RESUME] = "resume"};
    (void)p;
    add_head(w, r);
    add(w, span_str(names[r->op->verb]));
}

/* A plain command, not a script. */
static void names_words(struct queue_words *w, const struct queue_ride *r,
                        const struct queue_place *p)
{
    const struct queue_names *o = container_of(r->op, struct queue_names, op);
    (void)p;
    begin(w);
    add(w, SPAN("ZRANGEBYLEX"));
    add_key(w, "queues", (struct span){0});
    size_t from = w->text.n;
    buf_char(&w->text, o->after.n ? '(' : '-');
    buf_span(&w->text, o->after);
    add_built(w, from);
    add(w, SPAN("+"));
    add(w, SPAN("LIMIT"));
    add(w, SPAN("0"));
    add_u64(w, o->max);
}

static const struct {
    enum redis_script_id script;
    void (*words)(struct queue_words *, const struct queue_ride *, const struct queue_place *);
} verbs[QUEUE_VERBS] = {
    [QUEUE_PUT] = {SCRIPT_QUEUE_PUT, put_words},
    [QUEUE_TAKE] = {SCRIPT_QUEUE_TAKE, take_words},
    [QUEUE_ACK] = {SCRIPT_QUEUE_SETTLE, settle_words},
    [QUEUE_NACK] = {SCRIPT_QUEUE_SETTLE, settle_words},
    [QUEUE_RELEASE] = {SCRIPT_QUEUE_SETTLE, settle_words},
    [QUEUE_EXTEND] = {SCRIPT_QUEUE_SETTLE, settle_words},
    [QUEUE_CANCEL] = {SCRIPT_QUEUE_SETTLE, settle_words},
    [QUEUE_GET] = {SCRIPT_QUEUE_LOOK, get_words},
    [QUEUE_DEAD] = {SCRIPT_QUEUE_LOOK, dead_words},
    [QUEUE_RETRY] = {SCRIPT_QUEUE_PICK, pick_words},
    [QUEUE_PURGE] = {SCRIPT_QUEUE_PICK, pick_words},
    [QUEUE_PAUSE] = {SCRIPT_QUEUE_CONTROL, control_words},
    [QUEUE_DRAIN] = {SCRIPT_QUEUE_CONTROL, control_words},
    [QUEUE_RESUME] = {SCRIPT_QUEUE_CONTROL, control_words},
    [QUEUE_STATS] = {SCRIPT_QUEUE_LOOK, stats_words},
    [QUEUE_NAMES] = {REDIS_SCRIPTS, names_words},
};

enum redis_script_id queue_script_of(enum queue_verb verb)
{
    return verbs[verb].script;
}

bool queue_words_of(struct queue_words *w, const struct queue_ride *r, const struct queue_place *p)
{
    verbs[r->op->verb].words(w, r, p);
    return seal(w);
}

bool queue_words_cause(struct queue_words *w, const struct queue_redis *q, const struct caused *c)
{
    begin(w);
    add(w, span_str(w->prefix));
    add_beginning(w, q, &c->queue);
    add_job(w, &c->job);
    return seal(w);
}

bool queue_words_due(struct queue_words *w, size_t place)
{
    begin_keys(w);
    add_u64(w, place);
    add_u64(w, QUEUE_DUE_MAX);
    return seal(w);
}

bool queue_words_sweep(struct queue_words *w, const struct queue_redis *q, struct span queue)
{
    begin_keys(w);
    add_keys(w, queue);
    add(w, span_str(q->origin));
    add(w, queue);
    add_u64(w, random_of(q));
    return seal(w);
}
