/* SPDX-License-Identifier: MIT */
/* Queues within a step: looked up once, counted in memory, written once at its end. */
#include "backplane/store/jobs_private.h"

#include <assert.h>
#include <string.h>

/* The rules lie in the file as numbers in this order; what a later version appends is 0 in rows of
 * an earlier one. */
enum { RULE_NUMBERS = 13 };

static void rules_pack(int64_t out[RULE_NUMBERS], const struct queue_rules *r)
{
    const int64_t v[RULE_NUMBERS] = {r->max_failures,
                                     r->max_deliveries,
                                     (int64_t)r->backoff_ms,
                                     (int64_t)r->backoff_cap_ms,
                                     (int64_t)r->max_jobs,
                                     (int64_t)r->max_bytes,
                                     r->max_data,
                                     (int64_t)r->key_ms,
                                     (int64_t)r->dead_ms,
                                     (int64_t)r->dead_jobs,
                                     (int64_t)r->result_ms,
                                     r->drop_expired,
                                     r->max_inflight};
    memcpy(out, v, sizeof(v));
}

static void rules_unpack(struct queue_rules *r, struct span s)
{
    int64_t v[RULE_NUMBERS] = {0};
    memcpy(v, s.p, s.n < sizeof(v) ? s.n : sizeof(v));
    *r = (struct queue_rules){
        .max_failures = (uint32_t)v[0],
        .max_deliveries = (uint32_t)v[1],
        .backoff_ms = (uint64_t)v[2],
        .backoff_cap_ms = (uint64_t)v[3],
        .max_jobs = (uint64_t)v[4],
        .max_bytes = (uint64_t)v[5],
        .max_data = (uint32_t)v[6],
        .key_ms = (uint64_t)v[7],
        .dead_ms = (uint64_t)v[8],
        .dead_jobs = (uint64_t)v[9],
        .result_ms = (uint64_t)v[10],
        .drop_expired = v[11] != 0,
        .max_inflight = (uint32_t)v[12],
    };
}

/* ---- reading and writing --------------------------------------------------------------------- */

#define COLUMNS                                                                                    \
    "ready,leased,delayed,blocked,dead,bytes,put,repeated,delivered,acked,failed,lapsed,died,"     \
    "cancelled"
static_assert(QUEUE_NUMBER_COUNT == 14, "the columns above are the numbers, in their order");

static void save(struct jobs_step *s, struct jobs_shelf *h)
{
    if (!h->id || !h->changed)
        return;
    int64_t rules[RULE_NUMBERS];
    rules_pack(rules, &h->rules);
    sqlite3_stmt *q =
        jobs_statement(s, "UPDATE queue SET paused=?2,draining=?3,rules=?4,(" COLUMNS
                          ")=(?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18) WHERE id=?1");
    jobs_int(q, 1, h->id);
    jobs_int(q, 2, h->paused);
    jobs_int(q, 3, h->draining);
    jobs_blob(q, 4, (struct span){(const char *)rules, sizeof(rules)});
    for (int i = 0; i < QUEUE_NUMBER_COUNT; i++)
        jobs_int(q, 5 + i, h->number[i]);
    jobs_run(s, q);
    h->changed = false;
}

/* How many more jobs can be had than at some time in the step: more are ready, or somebody who held
 * as many as it may does so no more. -1: nothing has changed for those who wait. */
static int64_t news(const struct jobs_shelf *h)
{
    int64_t freed = h->rules.max_inflight ? h->freed : 0;
    int64_t ready = h->paused ? 0 : h->number[NUMBER_ready], more = ready - h->ready_least;
    int64_t can = freed < ready ? freed : ready;
    if (more <= 0 && !freed)
        return -1;
    return more > can ? more : can;
}

static void note_ready(struct jobs_step *s, const struct jobs_shelf *h)
{
    if (!h->id || news(h) < 0)
        return;
    if (s->ready_count == JOBS_SHELVES) {
        s->ready_elsewhere = true;
        return;
    }
    struct jobs_ready *r = &s->ready[s->ready_count++];
    r->count = (size_t)news(h);
    r->name_len = h->name_len;
    memcpy(r->name, h->name, h->name_len);
}

void jobs_shelves_save(struct jobs_step *s)
{
    for (size_t i = 0; i < JOBS_SHELVES; i++) {
        save(s, &s->shelves[i]);
        note_ready(s, &s->shelves[i]);
    }
}

/* A place for one more queue; if there is none, one that was looked at is put back. */
static struct jobs_shelf *vacant(struct jobs_step *s)
{
    struct jobs_shelf *h = &s->shelves[s->next_shelf++ % JOBS_SHELVES];
    save(s, h);
    note_ready(s, h);
    memset(h, 0, sizeof(*h));
    return h;
}

static struct jobs_shelf *fill(struct jobs_step *s, sqlite3_stmt *q)
{
    if (!jobs_row(s, q))
        return NULL;
    struct jobs_shelf *h = vacant(s);
    h->id = sqlite3_column_int64(q, 0);
    struct span name = jobs_column(q, 1);
    assert(name.n <= sizeof(h->name));
    h->name_len = name.n;
    memcpy(h->name, name.p, name.n);
    h->paused = sqlite3_column_int(q, 2);
    h->draining = sqlite3_column_int(q, 3);
    rules_unpack(&h->rules, jobs_column(q, 4));
    for (int i = 0; i < QUEUE_NUMBER_COUNT; i++)
        h->number[i] = sqlite3_column_int64(q, 5 + i);
    h->ready_least = h->number[NUMBER_ready];
    (void)sqlite3_reset(q); /* there is one row */
    return h;
}

static struct jobs_shelf *read_named(struct jobs_step *s, struct span name)
{
    sqlite3_stmt *q = jobs_statement(s, "SELECT id,name,paused,draining,rules," COLUMNS
                                        " FROM queue WHERE name=?1");
    jobs_blob(q, 1, name);
    return fill(s, q);
}

static struct jobs_shelf *make(struct jobs_step *s, const struct queue_ref *ref)
{
    int64_t rules[RULE_NUMBERS];
    rules_pack(rules, ref->rules ? ref->rules : &queue_default_rules);
    sqlite3_stmt *q = jobs_statement(s, "INSERT INTO queue(name,paused,draining,rules," COLUMNS
                                        ") VALUES(?1,0,0,?2,0,0,0,0,0,0,0,0,0,0,0,0,0,0)");
    jobs_blob(q, 1, ref->name);
    jobs_blob(q, 2, (struct span){(const char *)rules, sizeof(rules)});
    jobs_run(s, q);
    return read_named(s, ref->name);
}

/* The newest rules hold. */
static void follow(struct jobs_shelf *h, const struct queue_rules *rules)
{
    int64_t has[RULE_NUMBERS], wants[RULE_NUMBERS];
    if (!h || !rules)
        return;
    rules_pack(has, &h->rules);
    rules_pack(wants, rules);
    if (memcmp(has, wants, sizeof(has)) == 0)
        return;
    h->rules = *rules;
    h->changed = true;
}

struct jobs_shelf *jobs_shelf(struct jobs_step *s, const struct queue_ref *ref, bool made)
{
    struct jobs_shelf *h = NULL;
    for (size_t i = 0; i < JOBS_SHELVES && !h; i++)
        if (s->shelves[i].id &&
            span_eq(ref->name, (struct span){s->shelves[i].name, s->shelves[i].name_len}))
            h = &s->shelves[i];
    if (!h)
        h = read_named(s, ref->name);
    if (!h && made && !s->error)
        h = make(s, ref);
    follow(h, ref->rules);
    return h;
}

struct jobs_shelf *jobs_shelf_of(struct jobs_step *s, int64_t id)
{
    for (size_t i = 0; i < JOBS_SHELVES; i++)
        if (s->shelves[i].id == id)
            return &s->shelves[i];
    sqlite3_stmt *q = jobs_statement(s, "SELECT id,name,paused,draining,rules," COLUMNS
                                        " FROM queue WHERE id=?1");
    jobs_int(q, 1, id);
    return fill(s, q);
}
