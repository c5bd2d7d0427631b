/* SPDX-License-Identifier: MIT */
/* What scripts answer; backplane/lua/ tells of the order. */
#include "backplane/base/count.h"

#include "backplane/queue_redis_private.h"

#include <stdlib.h>

#define HEAD          2 /* items that most answers begin with: what is due, what is ready */
#define FULL_RETRY_MS 1000

/* An array, item by item. What is missing is 0 or "". */
struct reader {
    const struct redis_reply *reply;
    size_t at;
};

static int64_t integer(struct reader *r)
{
    return redis_reply_integer(redis_reply_item(r->reply, r->at++));
}

static uint64_t natural(struct reader *r)
{
    int64_t v = integer(r);
    return v > 0 ? (uint64_t)v : 0;
}

static struct span text(struct reader *r)
{
    return redis_reply_text(redis_reply_item(r->reply, r->at++));
}

/* The index of a word among some; count: it is none of them. */
static size_t word_of(struct span s, const char *const *words, size_t count)
{
    size_t i = 0;
    while (i < count && !span_eq(s, span_str(words[i])))
        i++;
    return i;
}

/* ---- put ------------------------------------------------------------------------------------- */

static enum durability durability_of(const struct queue_place *p)
{
    const struct redis_facts *f = redis_link_facts(redis_server_commands(p->shard->server));
    if (p->queue->redis->settings->restart_keeps)
        return DURABLE_FSYNC;
    if (!f->known)
        return DURABLE_UNKNOWN;
    return f->append_only ? DURABLE_OS : DURABLE_MEM;
}

/* Of several servers the least, and if one does not tell, nothing is known. */
static void note_durability(struct queue_put *put, bool first, enum durability d)
{
    if (first || d < put->durable)
        put->durable = d;
}

static enum err put_answer(struct queue_ride *r, const struct queue_place *p, struct reader in)
{
    static const char *const words[] = {
        [PUT_OK] = "ok",     [PUT_REPEATED] = "repeated", [PUT_KNOWN] = "known",
        [PUT_FULL] = "full", [PUT_TOO_BIG] = "too_big",   [PUT_DRAINING] = "draining",
        [PUT_BAD] = "bad"};
    struct queue_put *put = container_of(r->op, struct queue_put, op);
    for (size_t i = 0; i < put->count; i++) {
        struct queue_job *j = &put->jobs[i];
        if (j->status == PUT_BAD || queue_place_of_job(r, j) != p)
            continue;
        size_t status = word_of(text(&in), words, PUT_BAD + 1);
        if (status > PUT_BAD)
            return ERR_INTERNAL;
        j->id = natural(&in);
        j->status = (enum put_status)status;
        if (j->status == PUT_FULL)
            put->retry_ms = FULL_RETRY_MS;
    }
    note_durability(put, !r->answered, durability_of(p));
    redis_shard_part(p->shard, PART_MEMORY, false, NULL);
    return OK;
}

void queue_answer_full(struct queue_ride *r, const struct queue_place *p)
{
    struct queue_put *put = container_of(r->op, struct queue_put, op);
    for (size_t i = 0; i < put->count; i++) {
        struct queue_job *j = &put->jobs[i];
        if (j->status != PUT_BAD && queue_place_of_job(r, j) == p)
            j->status = PUT_FULL;
    }
    put->retry_ms = FULL_RETRY_MS;
    note_durability(put, !r->answered, durability_of(p));
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static bool keep(struct job ***jobs, size_t *count, size_t max, const struct job *found)
{
    if (!*jobs)
        *jobs = calloc(max, sizeof(struct job *));
    struct job *j = *jobs && *count < max ? job_new(found) : NULL;
    if (j)
        (*jobs)[(*count)++] = j;
    return j != NULL;
}

static bool take_one(struct queue_ride *r, struct queue_take *t, struct reader in)
{
    struct job j = {.queue = text(&in)}; /* one at a time: the order matters */
    j.id = natural(&in);
    struct span token = text(&in);
    if (token.n >= sizeof(j.token))
        return false;
    if (token.n)
        memcpy(j.token, token.p, token.n);
    j.kind = text(&in);
    j.data = text(&in);
    j.deliveries = (uint32_t)natural(&in);
    j.failures = (uint32_t)natural(&in);
    j.until_ms = natural(&in);
    j.priority = (uint8_t)natural(&in);
    j.group = text(&in);
    j.key = text(&in);
    j.error = text(&in);
    j.created_ms = natural(&in);
    r->bytes += j.data.n;
    return keep(&t->jobs, &t->count, t->max, &j);
}

static enum err take_answer(struct queue_ride *r, const struct queue_place *p, struct reader in)
{
    struct queue_take *t = container_of(r->op, struct queue_take, op);
    (void)p;
    t->more |= (r->ready & 1) != 0;
    t->bounded |= (uint8_t)(r->ready >> 1);
    r->ready = 0; /* it is told by these */
    for (; in.at < in.reply->count; in.at++)
        if (!take_one(r, t, (struct reader){redis_reply_item(in.reply, in.at), 0}))
            return ERR_INTERNAL;
    return OK;
}

static struct job shown(struct reader *in)
{
    static const char *const deaths[] = {"", "max_failures", "max_deliveries", "rejected",
                                         "expired"};
    enum { DEATHS = COUNT_OF(deaths) };
    struct job j = {.id = natural(in)}; /* one at a time: the order matters */
    j.kind = text(in);
    j.data = text(in);
    j.deliveries = (uint32_t)natural(in);
    j.failures = (uint32_t)natural(in);
    j.until_ms = natural(in);
    j.priority = (uint8_t)natural(in);
    j.group = text(in);
    j.key = text(in);
    j.error = text(in);
    j.created_ms = natural(in);
    size_t death = word_of(text(in), deaths, DEATHS);
    j.death = (uint8_t)(death < DEATHS ? death : DEATH_NONE);
    return j;
}

/* What is left of a job that is done. */
static struct job done(struct reader *in)
{
    struct job j = {.id = natural(in)};
    j.data = text(in);
    j.until_ms = natural(in);
    return j;
}

static enum err get_answer(struct queue_ride *r, const struct queue_place *p, struct reader in)
{
    static const char *const states[] = {
        [JOB_READY] = "ready",     [JOB_LEASED] = "leased", [JOB_DELAYED] = "delayed",
        [JOB_BLOCKED] = "blocked", [JOB_DEAD] = "dead",     [JOB_DONE] = "done"};
    struct queue_look *l = container_of(r->op, struct queue_look, op);
    (void)p;
    if (in.reply->count == 0)
        return OK;
    size_t state = word_of(text(&in), states, JOB_UNKNOWN);
    struct job j = state == JOB_DONE ? done(&in) : shown(&in);
    j.queue = r->op->queue.name;
    l->state = (enum job_state)state;
    l->job = state < JOB_UNKNOWN ? job_new(&j) : NULL;
    return l->job ? OK : ERR_INTERNAL;
}

static int by_id(const void *a, const void *b)
{
    const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Of those of all servers the first ones by id. */
static enum err dead_answer(struct queue_ride *r, const struct queue_place *p, struct reader in)
{
    struct queue_list *l = container_of(r->op, struct queue_list, op);
    size_t room = l->max * queue_place_count(r->queue);
    (void)p;
    for (; in.at < in.reply->count && in.at < l->max; in.at++) {
        struct reader one = {redis_reply_item(in.reply, in.at), 0};
        struct job j = shown(&one);
        j.queue = r->op->queue.name;
        if (!keep(&l->jobs, &l->count, room, &j))
            return ERR_INTERNAL;
    }
    if (r->left > 0 || !l->count)
        return OK;
    qsort(l->jobs, l->count, sizeof(struct job *), by_id);
    while (l->count > l->max)
        free(l->jobs[--l->count]);
    return OK;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static enum err settle_answer(struct queue_ride *r, const struct queue_place *p, struct reader in)
{
    static const char *const words[] = {[SETTLED_OK] = "ok",
                                        [SETTLED_LEASE_LOST] = "lease_lost",
                                        [SETTLED_GONE] = "gone",
                                        [SETTLED_CANCELLED] = "cancelled"};
    struct queue_settle *s = container_of(r->op, struct queue_settle, op);
    for (size_t i = 0; i < s->count; i++) {
        struct queue_item *item = &s->items[i];
        if (queue_place_of_id(r->queue, item->id) != p)
            continue;
        size_t status = word_of(text(&in), words, SETTLED_CANCELLED + 1);
        if (status > SETTLED_CANCELLED)
            return ERR_INTERNAL;
        item->status = (enum settled)status;
        item->until_ms = natural(&in);
    }
    return OK;
}

static enum err pick_answer(struct queue_ride *r, const struct queue_place *p, struct reader in)
{
    (void)p;
    struct queue_pick *pick = container_of(r->op, struct queue_pick, op);
    pick->changed += (uint32_t)natural(&in);
    pick->repeated += (uint32_t)natural(&in);
    return OK;
}

static enum err stats_answer(struct queue_ride *r, const struct queue_place *p, struct reader in)
{
    static const char *const names[] = {
#define NAME(name) #name,
        QUEUE_NUMBERS(NAME)
#undef NAME
    };
    struct queue_stats *s = container_of(r->op, struct queue_stats, op);
    (void)p;
    while (in.at < in.reply->count) {
        struct span name = text(&in);
        int64_t v = integer(&in);
        size_t i = word_of(name, names, QUEUE_NUMBER_COUNT);
        if (i < QUEUE_NUMBER_COUNT)
            s->number[i] += v;
        else if (span_eq(name, SPAN("oldest")) && v &&
                 (!s->oldest_ms || (uint64_t)v < s->oldest_ms))
            s->oldest_ms = (uint64_t)v;
        else if (span_eq(name, SPAN("paused")))
            s->paused |= v != 0;
        else if (span_eq(name, SPAN("draining")))
            s->draining |= v != 0;
    }
    return OK;
}

static int by_name(const void *a, const void *b)
{
    const struct queue_name *x = a, *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* Of those of all servers the first ones, each once. */
static enum err names_answer(struct queue_ride *r, const struct queue_place *p, struct reader in)
{
    struct queue_names *o = container_of(r->op, struct queue_names, op);
    size_t room = o->max * queue_place_count(r->queue), n = 0;
    (void)p;
    if (!o->names && !(o->names = calloc(room, sizeof(*o->names))))
        return ERR_INTERNAL;
    for (; in.at < in.reply->count && o->count < room;) {
        struct span name = text(&in);
        struct queue_name *to = &o->names[o->count];
        if (name.n == 0 || name.n > sizeof(to->p))
            continue; /* of another program, against the rules */
        to->n = name.n;
        memcpy(to->p, name.p, name.n);
        o->count++;
    }
    if (r->left > 0)
        return OK;
    qsort(o->names, o->count, sizeof(*o->names), by_name);
    for (size_t i = 0; i < o->count && n < o->max; i++)
        if (!n || by_name(&o->names[n - 1], &o->names[i]) != 0)
            o->names[n++] = o->names[i];
    o->count = n;
    return OK;
}

static enum err no_answer(struct queue_ride *r, const struct queue_place *p, struct reader in)
{
    (void)r;
    (void)p;
    (void)in;
    return OK;
}

static const struct {
    enum err (*answer)(struct queue_ride *, const struct queue_place *, struct reader);
    bool plain; /* without a head */
} verbs[QUEUE_VERBS] = {
    [QUEUE_PUT] = {put_answer, false},        [QUEUE_TAKE] = {take_answer, false},
    [QUEUE_ACK] = {settle_answer, false},     [QUEUE_NACK] = {settle_answer, false},
    [QUEUE_RELEASE] = {settle_answer, false}, [QUEUE_EXTEND] = {settle_answer, false},
    [QUEUE_CANCEL] = {settle_answer, false},  [QUEUE_GET] = {get_answer, true},
    [QUEUE_DEAD] = {dead_answer, true},       [QUEUE_RETRY] = {pick_answer, false},
    [QUEUE_PURGE] = {pick_answer, false},     [QUEUE_PAUSE] = {no_answer, false},
    [QUEUE_DRAIN] = {no_answer, false},       [QUEUE_RESUME] = {no_answer, false},
    [QUEUE_STATS] = {stats_answer, true},     [QUEUE_NAMES] = {names_answer, true},
};

enum err queue_answer(struct queue_ride *r, const struct queue_place *p,
                      const struct redis_reply *reply)
{
    struct reader in = {reply, 0};
    bool plain = verbs[r->op->verb].plain;
    if (reply->type != REPLY_ARRAY || (!plain && reply->count < HEAD))
        return ERR_INTERNAL;
    if (!plain) {
        queue_watch_by((struct queue_place *)p, integer(&in));
        r->ready += natural(&in);
    }
    return verbs[r->op->verb].answer(r, p, in);
}
