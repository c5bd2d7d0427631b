/* SPDX-License-Identifier: MIT */
#include "backplane/queue/queue.h"

#include "backplane/base/buf.h"
#include "backplane/base/count.h"
#include "backplane/base/hex.h"
#include "backplane/base/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

const struct queue_rules queue_default_rules = {
    .max_failures = 12,
    .max_deliveries = 24,
    .backoff_ms = 1000,
    .backoff_cap_ms = 3600000,
    .max_jobs = 1000000,
    .max_bytes = 1024ULL * 1024 * 1024,
    .max_data = 256 * 1024,
    .key_ms = 7 * 86400000ULL,
    .dead_ms = 30 * 86400000ULL,
    .dead_jobs = 100000,
    .result_ms = 3600000,
};

/* ---- words ----------------------------------------------------------------------------------- */

const char *job_death_text(enum job_death why)
{
    static const char *const texts[] = {"", "max_failures", "max_deliveries", "rejected",
                                        "expired"};
    return texts[why];
}

const char *durability_text(enum durability d)
{
    static const char *const texts[] = {"unknown", "mem", "os", "fsync"};
    return texts[d];
}

const char *settled_text(enum settled s)
{
    static const char *const texts[] = {"ok", "lease_lost", "gone", "cancelled"};
    return texts[s];
}

/* ---- jobs ------------------------------------------------------------------------------------ */

struct job *job_new(const struct job *from)
{
    size_t n =
        from->queue.n + from->kind.n + from->data.n + from->group.n + from->key.n + from->error.n;
    struct job *j = malloc(sizeof(*j) + n);
    if (!j)
        return NULL;
    *j = *from;
    char *at = j->bytes;
    enum { SPANS = 6 };
    struct span *spans[SPANS] = {&j->queue, &j->kind, &j->data, &j->group, &j->key, &j->error};
    for (size_t i = 0; i < SPANS; i++)
        *spans[i] = span_copy(&at, *spans[i]);
    return j;
}

static void drop_jobs(struct job ***jobs, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        free((*jobs)[i]);
    free(*jobs);
    *jobs = NULL;
    *count = 0;
}

void queue_op_deinit(struct queue_op *op)
{
    if (op->verb == QUEUE_TAKE) {
        struct queue_take *t = container_of(op, struct queue_take, op);
        drop_jobs(&t->jobs, &t->count);
    } else if (op->verb == QUEUE_DEAD) {
        struct queue_list *l = container_of(op, struct queue_list, op);
        drop_jobs(&l->jobs, &l->count);
    } else if (op->verb == QUEUE_GET) {
        struct queue_look *l = container_of(op, struct queue_look, op);
        free(l->job);
        l->job = NULL;
        l->state = JOB_UNKNOWN;
    } else if (op->verb == QUEUE_NAMES) {
        struct queue_names *o = container_of(op, struct queue_names, op);
        free(o->names);
        o->names = NULL;
        o->count = 0;
    }
}

void queue_op_end(struct queue_driver *d, struct queue_op *op, enum err error)
{
    op->error = error;
    if (error)
        queue_op_deinit(op);
    d->pending--;
    op->done(op);
}

/* ---- what an operation may say --------------------------------------------------------------- */

static bool fits(struct span s, size_t most)
{
    return s.n > 0 && s.n <= most;
}

static bool is_name(struct span s, size_t most)
{
    return fits(s, most) && utf8_valid(s);
}

static bool optional(struct span s, size_t most)
{
    return !s.n || is_name(s, most);
}

/* A bound that is not kept, and what to say of it. */
struct breach {
    bool is;
    const char *fault;
};

/* NULL: none. */
static const char *first_fault(const struct breach *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].is)
            return list[i].fault;
    return NULL;
}
#define FIRST_FAULT(list) first_fault(list, COUNT_OF(list))

static enum err told(struct queue_op *op, const char *fault)
{
    op->fault = fault;
    return fault ? ERR_BAD_REQUEST : OK;
}

static const char COUNT_FAULT[] = "1 to 256 jobs at a time";

static const char *fault_of_job(const struct queue_job *j)
{
    const struct breach list[] = {
        {!is_name(j->kind, QUEUE_KIND_MAX), "kind must be 1 to 64 bytes of UTF-8"},
        {!optional(j->key, QUEUE_KEY_MAX), "key must be at most 255 bytes of UTF-8"},
        {!optional(j->group, QUEUE_KEY_MAX), "group must be at most 255 bytes of UTF-8"},
        {!optional(j->once, QUEUE_KEY_MAX), "a key of who asks must be at most 255 bytes of UTF-8"},
        {j->once_ms > QUEUE_DELAY_MAX, "a key of who asks is kept for at most ten years"},
        {!j->once.n != !j->once_ms, "a key of who asks needs a time"},
        {j->priority >= JOB_PRIORITIES, "priority must be 0 to 3"},
        {j->key_mode > KEY_WINDOW, "key_mode must be until_done or window"},
        {j->delay_ms > QUEUE_DELAY_MAX, "delay_ms must be at most ten years"},
        {j->ttl_ms > QUEUE_DELAY_MAX, "ttl_ms must be at most ten years"},
        {j->key_ms > QUEUE_DELAY_MAX, "key_ms must be at most ten years"},
        {j->at_ms >> 53, "at_ms is too far away"},
        {j->delay_ms && j->at_ms, "delay_ms or at_ms, not both"},
        {(j->delay_ms || j->at_ms) && j->group.n, "a job of a group cannot be delayed"},
        {j->again && !j->key.n, "again needs a key"},
    };
    return FIRST_FAULT(list);
}

static enum err check_put(struct queue_op *op)
{
    struct queue_put *p = container_of(op, struct queue_put, op);
    p->durable = DURABLE_UNKNOWN;
    p->retry_ms = 0;
    if (!p->count || p->count > QUEUE_ITEMS_MAX)
        return told(op, COUNT_FAULT);
    for (size_t i = 0; i < p->count; i++) {
        struct queue_job *j = &p->jobs[i];
        j->id = 0;
        j->fault = fault_of_job(j);
        j->status = j->fault ? PUT_BAD : PUT_OK;
    }
    return OK;
}

static const char QUEUE_FAULT[] = "the name of a queue must be 1 to 64 bytes of UTF-8";
static const char LEASE_FAULT[] = "lease_ms must be 1 to 43200000 (12 hours)";

static enum err check_take(struct queue_op *op)
{
    struct queue_take *t = container_of(op, struct queue_take, op);
    t->jobs = NULL;
    t->count = 0;
    t->more = false;
    t->bounded = 0;
    const struct breach list[] = {
        {!t->queue_count || t->queue_count > QUEUE_NAMES_MAX, "1 to 8 queues at a time"},
        {!t->max || t->max > QUEUE_ITEMS_MAX, "max must be 1 to 256"},
        {t->lease_ms < QUEUE_LEASE_MIN || t->lease_ms > QUEUE_LEASE_MAX, LEASE_FAULT},
        {!optional(t->owner, QUEUE_OWNER_MAX), "owner must be at most 64 bytes of UTF-8"},
    };
    const char *fault = FIRST_FAULT(list);
    for (size_t i = 0; !fault && i < t->queue_count; i++)
        if (!is_name(t->queues[i].name, QUEUE_NAME_MAX))
            fault = QUEUE_FAULT;
    return told(op, fault);
}

static const char *fault_of_item(enum queue_verb verb, const struct queue_item *item)
{
    const struct breach list[] = {
        {verb == QUEUE_ACK && item->text.n > QUEUE_RESULT_MAX,
         "result must have at most 65536 bytes of JSON"},
        {verb == QUEUE_EXTEND && (item->ms < QUEUE_LEASE_MIN || item->ms > QUEUE_LEASE_MAX),
         LEASE_FAULT},
        {verb == QUEUE_NACK && item->ms != QUEUE_BACKOFF && item->ms > QUEUE_DELAY_MAX,
         "delay_ms must be at most ten years"},
    };
    return FIRST_FAULT(list);
}

static enum err check_settle(struct queue_op *op)
{
    struct queue_settle *s = container_of(op, struct queue_settle, op);
    const char *fault = !s->count || s->count > QUEUE_ITEMS_MAX ? COUNT_FAULT : NULL;
    for (size_t i = 0; !fault && i < s->count; i++) {
        s->items[i].status = SETTLED_GONE;
        s->items[i].until_ms = 0;
        fault = fault_of_item(op->verb, &s->items[i]);
    }
    return told(op, fault);
}

static enum err check_look(struct queue_op *op)
{
    struct queue_look *l = container_of(op, struct queue_look, op);
    l->state = JOB_UNKNOWN;
    l->job = NULL;
    return OK;
}

static const char LIMIT_FAULT[] = "limit must be 1 to 256";

static enum err check_list(struct queue_op *op)
{
    struct queue_list *l = container_of(op, struct queue_list, op);
    l->jobs = NULL;
    l->count = 0;
    return told(op, l->max && l->max <= QUEUE_ITEMS_MAX ? NULL : LIMIT_FAULT);
}

static enum err check_pick(struct queue_op *op)
{
    struct queue_pick *p = container_of(op, struct queue_pick, op);
    p->changed = p->repeated = 0;
    const struct breach list[] = {
        {p->count > QUEUE_ITEMS_MAX, COUNT_FAULT},
        {p->delay_ms > QUEUE_DELAY_MAX, "delay_ms must be at most ten years"},
        {!p->count && (!p->max || p->max > QUEUE_ITEMS_MAX), LIMIT_FAULT},
    };
    return told(op, FIRST_FAULT(list));
}

static enum err check_nothing(struct queue_op *op)
{
    (void)op;
    return OK;
}

static enum err check_stats(struct queue_op *op)
{
    struct queue_stats *s = container_of(op, struct queue_stats, op);
    memset(s->number, 0, sizeof(s->number));
    s->oldest_ms = 0;
    s->paused = s->draining = false;
    return OK;
}

static enum err check_names(struct queue_op *op)
{
    struct queue_names *o = container_of(op, struct queue_names, op);
    o->names = NULL;
    o->count = 0;
    return told(op, o->max && o->max <= QUEUE_ITEMS_MAX ? NULL : LIMIT_FAULT);
}

enum err queue_check(struct queue_op *op)
{
    static enum err (*const check[QUEUE_VERBS])(struct queue_op *) = {
        [QUEUE_PUT] = check_put,        [QUEUE_TAKE] = check_take,
        [QUEUE_ACK] = check_settle,     [QUEUE_NACK] = check_settle,
        [QUEUE_RELEASE] = check_settle, [QUEUE_EXTEND] = check_settle,
        [QUEUE_CANCEL] = check_settle,  [QUEUE_GET] = check_look,
        [QUEUE_DEAD] = check_list,      [QUEUE_RETRY] = check_pick,
        [QUEUE_PURGE] = check_pick,     [QUEUE_PAUSE] = check_nothing,
        [QUEUE_DRAIN] = check_nothing,  [QUEUE_RESUME] = check_nothing,
        [QUEUE_STATS] = check_stats,    [QUEUE_NAMES] = check_names,
    };
    op->fault = NULL;
    enum err e = check[op->verb](op); /* first, since it clears the answer */
    bool of_one = op->verb != QUEUE_TAKE && op->verb != QUEUE_NAMES;
    if (of_one && !is_name(op->queue.name, QUEUE_NAME_MAX))
        return told(op, QUEUE_FAULT);
    return e;
}

/* ---- leases ---------------------------------------------------------------------------------- */

uint64_t queue_backoff(const struct queue_rules *rules, uint32_t failures, uint64_t random)
{
    uint64_t d = rules->backoff_ms;
    for (uint32_t i = 1; i < failures && d < rules->backoff_cap_ms; i++)
        d *= 2;
    if (d > rules->backoff_cap_ms)
        d = rules->backoff_cap_ms;
    return d - d / 2 + random % (d / 2 + 1);
}

void queue_token(char out[QUEUE_TOKEN_MAX], uint64_t n, uint64_t nonce)
{
    static_assert(U64_TEXT_MAX + 1 + HEX_U64 + 1 <= QUEUE_TOKEN_MAX, "it fits");
    char *at = out + u64_text(out, n);
    *at++ = '.';
    *hex_u64(at, nonce) = '\0';
}

bool queue_token_parse(struct span token, uint64_t *n, uint64_t *nonce)
{
    char text[QUEUE_TOKEN_MAX], again[QUEUE_TOKEN_MAX], *end;
    if (!fits(token, sizeof(text) - 1))
        return false;
    memcpy(text, token.p, token.n);
    text[token.n] = '\0';
    *n = strtoull(text, &end, 10);
    *nonce = *end == '.' ? strtoull(end + 1, NULL, 16) : 0;
    queue_token(again, *n, *nonce); /* there is one way to write it */
    return strcmp(text, again) == 0;
}

uint64_t queue_random(void)
{
    uint64_t r;
    while (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
        ; /* interrupted */
    return r;
}
