/* SPDX-License-Identifier: MIT */
/* queue_model.h: what a queue does, said once more and as simply as can be: one array, looked
 * through from end to end. One queue, one clock, no randomness: backoff is its lower half.
 */
#ifndef MADANG_TESTS_UNIT_QUEUE_MODEL_H
#define MADANG_TESTS_UNIT_QUEUE_MODEL_H

#include "tests/unit/queue_kit.h"

#define MODEL_JOBS 8192
#define MODEL_KEYS 8
#define MODEL_ONCE 300 /* ms, that it is known who put a job */

struct model_job {
    uint64_t id, due, expires, lease, again; /* lease: which one, in order of all; 0: none */
    int group, key;                          /* 0: none */
    int owner;                               /* of the lease */
    unsigned priority, deliveries, failures, max_failures;
    enum job_state state; /* JOB_UNKNOWN: gone */
    enum job_death death;
    bool cancelled;
};

static struct model_job model[MODEL_JOBS];
static size_t model_count;
static uint64_t model_now, model_leases;
static bool model_paused, model_draining;
static struct {
    struct model_job *job;
    uint64_t until;
} model_key[MODEL_KEYS], model_once[MODEL_KEYS];

static inline struct model_job *model_find(uint64_t id)
{
    for (size_t i = 0; i < model_count; i++)
        if (model[i].id == id)
            return &model[i];
    return NULL;
}

static inline bool model_busy(int group, const struct model_job *but)
{
    for (size_t i = 0; group && i < model_count; i++)
        if (&model[i] != but && model[i].group == group && model[i].state <= JOB_BLOCKED)
            return true;
    return false;
}

/* Out of the way of its group, and its key is free. */
static inline void model_leave(struct model_job *j, enum job_state to)
{
    bool held_up = j->state != JOB_BLOCKED;
    j->state = to;
    j->lease = 0;
    if (j->key && model_key[j->key].job == j)
        model_key[j->key].job = NULL;
    for (size_t i = 0; held_up && j->group && i < model_count; i++)
        if (model[i].group == j->group && model[i].state <= JOB_BLOCKED) {
            if (model[i].state == JOB_BLOCKED)
                model[i].state = JOB_READY;
            return; /* the oldest; jobs lie in the order of their ids */
        }
}

static inline void model_die(struct model_job *j, enum job_death why)
{
    j->death = why;
    model_leave(j, JOB_DEAD);
}

static inline void model_wait(struct model_job *j, uint64_t due)
{
    j->state = due > model_now ? JOB_DELAYED : JOB_READY;
    j->due = due;
    j->lease = j->again = 0;
}

static inline void model_end_lease(struct model_job *j, uint64_t due, bool fatal)
{
    enum job_death why = DEATH_NONE;
    if (fatal)
        why = DEATH_REJECTED;
    else if (j->expires && j->expires <= model_now)
        why = DEATH_EXPIRED;
    else if (j->failures >= j->max_failures)
        why = DEATH_FAILURES;
    else if (j->deliveries >= rules.max_deliveries)
        why = DEATH_DELIVERIES;
    if (j->cancelled) {
        model_leave(j, JOB_UNKNOWN);
    } else if (why && j->again && why != DEATH_EXPIRED) {
        j->deliveries = j->failures = 0;
        model_wait(j, due);
    } else if (why) {
        model_die(j, why);
    } else {
        model_wait(j, due);
    }
}

static inline void model_fail(struct model_job *j, uint64_t delay, bool fatal)
{
    uint64_t wait = rules.backoff_ms;
    j->failures++;
    for (unsigned i = 1; i < j->failures && wait < rules.backoff_cap_ms; i++)
        wait *= 2;
    if (wait > rules.backoff_cap_ms)
        wait = rules.backoff_cap_ms;
    model_end_lease(j, model_now + (delay == QUEUE_BACKOFF ? wait - wait / 2 : delay), fatal);
}

/* In the order in which it was due; then what nobody may have any more. */
static inline void model_time(uint64_t now)
{
    model_now = now;
    for (;;) {
        struct model_job *first = NULL;
        for (size_t i = 0; i < model_count; i++) {
            struct model_job *j = &model[i];
            bool due = (j->state == JOB_LEASED || j->state == JOB_DELAYED) && j->due <= now;
            if (due && (!first || j->due < first->due))
                first = j;
        }
        if (!first)
            break;
        if (first->state == JOB_DELAYED)
            first->state = JOB_READY;
        else
            model_fail(first, QUEUE_BACKOFF, false);
    }
    for (size_t i = 0; i < model_count; i++)
        if (model[i].expires && model[i].expires <= now && model[i].state <= JOB_BLOCKED &&
            model[i].state != JOB_LEASED)
            model_die(&model[i], DEATH_EXPIRED);
}

static inline size_t model_alive(void)
{
    size_t alive = 0;
    for (size_t i = 0; i < model_count; i++)
        alive += model[i].state <= JOB_BLOCKED;
    return alive;
}

/* What a put says of itself, as numbers; 0: nothing. */
struct model_names {
    int group, key, once;
};

/* The status; `id` is the driver's, or comes out: whose key it is. */
static inline enum put_status model_put(const struct queue_job *q, struct model_names names,
                                        uint64_t *id)
{
    int group = names.group, key = names.key;
    if (names.once && model_once[names.once].until > model_now) {
        *id = model_once[names.once].job->id;
        return PUT_KNOWN;
    }
    if (key && model_key[key].job && model_key[key].until > model_now) {
        struct model_job *holder = model_key[key].job;
        if (q->again && holder->state == JOB_LEASED) {
            holder->again = model_now + q->delay_ms;
            model_key[key].until = holder->again + rules.key_ms;
        }
        *id = holder->id;
        return PUT_REPEATED;
    }
    if (model_draining)
        return PUT_DRAINING;
    if (model_alive() >= rules.max_jobs)
        return PUT_FULL;
    assert_true(model_count < MODEL_JOBS);
    struct model_job *j = &model[model_count++];
    *j = (struct model_job){.id = *id,
                            .group = group,
                            .key = key,
                            .priority = q->priority,
                            .max_failures = q->max_failures,
                            .expires = q->ttl_ms ? model_now + q->ttl_ms : 0};
    model_wait(j, model_now + q->delay_ms);
    if (model_busy(group, j))
        j->state = JOB_BLOCKED;
    if (key) {
        model_key[key].job = j;
        model_key[key].until = model_now + q->delay_ms + rules.key_ms;
    }
    if (names.once) {
        model_once[names.once].job = j;
        model_once[names.once].until = model_now + MODEL_ONCE;
    }
    return PUT_OK;
}

static inline bool model_may_hold(int owner)
{
    size_t held = 0;
    for (size_t i = 0; i < model_count; i++)
        held += model[i].state == JOB_LEASED && model[i].owner == owner;
    return !rules.max_inflight || held < rules.max_inflight;
}

/* The next one that is handed out; NULL: none. */
static inline struct model_job *model_take(uint64_t lease_ms, int owner)
{
    struct model_job *best = NULL;
    for (size_t i = 0; i < model_count && !model_paused && model_may_hold(owner); i++)
        if (model[i].state == JOB_READY && (!best || model[i].priority < best->priority))
            best = &model[i];
    if (best) {
        best->state = JOB_LEASED;
        best->due = model_now + lease_ms;
        best->lease = ++model_leases;
        best->owner = owner;
        best->deliveries++;
    }
    return best;
}

/* `lease`: which one the asker was given. */
static inline enum settled model_settle(enum queue_verb verb, const struct queue_item *item,
                                        uint64_t lease)
{
    struct model_job *j = model_find(item->id);
    if (!j || j->state > JOB_BLOCKED)
        return j && j->state == JOB_DEAD && verb != QUEUE_CANCEL ? SETTLED_LEASE_LOST
                                                                 : SETTLED_GONE;
    bool cancelled = j->cancelled;
    if (verb == QUEUE_CANCEL) {
        if (j->state != JOB_LEASED) {
            model_leave(j, JOB_UNKNOWN);
            return SETTLED_OK;
        }
        j->cancelled = true;
        j->again = 0;
        if (j->key && model_key[j->key].job == j)
            model_key[j->key].job = NULL;
        return SETTLED_CANCELLED;
    }
    if (j->state != JOB_LEASED || j->lease != lease)
        return SETTLED_LEASE_LOST;
    if (verb == QUEUE_EXTEND && !cancelled)
        j->due = model_now + item->ms;
    if (verb == QUEUE_NACK)
        model_fail(j, item->ms, item->fatal);
    if (verb == QUEUE_RELEASE)
        model_end_lease(j, model_now, false);
    if (verb == QUEUE_ACK && j->again) {
        j->deliveries = j->failures = 0;
        model_wait(j, j->again);
    } else if (verb == QUEUE_ACK) {
        model_leave(j, JOB_UNKNOWN);
    }
    return cancelled && verb != QUEUE_ACK ? SETTLED_CANCELLED : SETTLED_OK;
}

/* Whether anything changes; `repeated` grows if another job has its key. */
static inline bool model_pick(uint64_t id, bool retry, uint32_t *repeated)
{
    struct model_job *j = model_find(id);
    if (!j || j->state != JOB_DEAD)
        return false;
    if (retry && j->key && model_key[j->key].job && model_key[j->key].until > model_now) {
        (*repeated)++;
        return false;
    }
    if (retry && model_alive() >= rules.max_jobs)
        return false;
    if (retry && j->key) {
        model_key[j->key].job = j;
        model_key[j->key].until = model_now + rules.key_ms;
    }
    bool busy = model_busy(j->group, j);
    j->deliveries = j->failures = 0;
    j->expires = j->again = 0;
    j->cancelled = false;
    j->state = !retry ? JOB_UNKNOWN : busy ? JOB_BLOCKED : JOB_READY;
    return true;
}

#endif
