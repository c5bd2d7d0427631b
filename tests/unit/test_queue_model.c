/* SPDX-License-Identifier: MIT */
/* test_queue_model.c: anything at any time, and after each step the driver and the model agree on
 * the answer and on every job.
 */
#include "backplane/queue/queue.h"

#include "tests/unit/queue_model.h"

#include <stdio.h>

#define ROUNDS  20
#define FEW     6 /* rounds, where every step is a round trip */
#define STEPS   700
#define TORTURE 50 /* times as many rounds */

/* What workers believe to hold; most of it is long over. */
static struct {
    uint64_t id, lease;
    char token[QUEUE_TOKEN_MAX];
} grants[4 * STEPS];
static size_t grant_count;

static void step_put(void)
{
    static const char *const names[MODEL_KEYS] = {"", "1", "2", "3", "4", "5", "6", "7"};
    static const char *const onces[MODEL_KEYS] = {"", "a", "b", "c", "d", "e", "f", "g"};
    struct model_names n = {0};
    n.group = one_in(3) ? (int)random_below(4) : 0;
    n.key = one_in(3) ? (int)random_below(MODEL_KEYS) : 0;
    n.once = one_in(3) ? (int)random_below(MODEL_KEYS) : 0;
    struct queue_job j = {
        .data = SPAN("data"),
        .group = span_str(names[n.group]),
        .key = span_str(names[n.key]),
        .once = span_str(onces[n.once]),
        .once_ms = n.once ? MODEL_ONCE : 0,
        .priority = (uint8_t)random_below(JOB_PRIORITIES),
        .delay_ms = !n.group && one_in(3) ? 1 + random_below(300) : 0,
        .ttl_ms = one_in(5) ? 1 + random_below(600) : 0,
        .max_failures = 1 + random_below(4),
        .again = n.key && one_in(2),
    };
    enum put_status got = put("q", &j);
    uint64_t id = j.id;
    assert_int_equal(got, model_put(&j, n, &id));
    if (got == PUT_REPEATED || got == PUT_KNOWN)
        assert_int_equal(j.id, id);
}

static const char *const owners[] = {"w1", "w2", ""};

static void step_take(void)
{
    uint32_t max = 1 + random_below(4);
    uint64_t lease_ms = 1 + random_below(400);
    int owner = (int)random_below(3);
    size_t n = take_as("q", max, lease_ms, owners[owner]);
    for (size_t i = 0; i < n; i++) {
        struct model_job *j = model_take(lease_ms, owner);
        const struct job *got = taken.jobs[i];
        assert_non_null(j);
        assert_int_equal(got->id, j->id);
        assert_int_equal(got->deliveries, j->deliveries); /* I6 */
        assert_int_equal(got->failures, j->failures);
        assert_int_equal(got->until_ms, j->due);
        assert_int_equal(strtoull(got->token, NULL, 10), j->lease); /* I5 */
        grants[grant_count].id = got->id;
        grants[grant_count].lease = j->lease;
        memcpy(grants[grant_count++].token, got->token, QUEUE_TOKEN_MAX);
    }
    assert_true(n == max || !model_take(lease_ms, owner));
}

static void step_settle(void)
{
    static const enum queue_verb verbs[] = {QUEUE_ACK,     QUEUE_ACK,    QUEUE_NACK,
                                            QUEUE_RELEASE, QUEUE_EXTEND, QUEUE_CANCEL};
    if (!grant_count)
        return;
    size_t newest = grant_count < 6 ? grant_count : 6;
    size_t which = one_in(4) ? random_below((uint32_t)grant_count)
                             : grant_count - 1 - random_below((uint32_t)newest);
    enum queue_verb verb = verbs[random_below(COUNT_OF(verbs))];
    struct queue_item item = {.id = grants[which].id,
                              .token = span_str(grants[which].token),
                              .ms = 1 + random_below(300),
                              .fatal = one_in(8)};
    if (verb == QUEUE_NACK && one_in(2))
        item.ms = QUEUE_BACKOFF;
    enum settled expected = model_settle(verb, &item, grants[which].lease);
    assert_int_equal(settle_item("q", verb, &item), expected);
}

static void step_cancel(void)
{
    if (!model_count)
        return;
    struct queue_item item = {.id = model[random_below((uint32_t)model_count)].id};
    enum settled expected = model_settle(QUEUE_CANCEL, &item, 0);
    assert_int_equal(settle_item("q", QUEUE_CANCEL, &item), expected);
}

static void step_dead(void)
{
    uint64_t ids[3];
    bool retry = !one_in(3);
    uint32_t changed = 0, repeated = 0;
    for (size_t i = 0; i < 3 && model_count; i++) {
        ids[i] = model[random_below((uint32_t)model_count)].id;
        changed += model_pick(ids[i], retry, &repeated);
    }
    struct queue_pick p = {.ids = ids, .count = model_count ? 3 : 0, .max = 1};
    assert_int_equal(run(&p.op, retry ? QUEUE_RETRY : QUEUE_PURGE, "q"), OK);
    assert_int_equal(p.changed, changed);
    assert_int_equal(p.repeated, repeated);
}

static void step_control(void)
{
    static const enum queue_verb verbs[] = {QUEUE_PAUSE, QUEUE_DRAIN, QUEUE_RESUME, QUEUE_RESUME,
                                            QUEUE_RESUME};
    enum queue_verb verb = verbs[random_below(COUNT_OF(verbs))];
    control("q", verb);
    model_paused = verb == QUEUE_PAUSE || (model_paused && verb != QUEUE_RESUME);
    model_draining = verb == QUEUE_DRAIN || (model_draining && verb != QUEUE_RESUME);
}

static void step_time(void)
{
    clock_now += one_in(10) ? random_below(2000) : random_below(120);
    model_time(clock_now);
    pass(0);
}

/* An ack that has a job run again may come after its ttl. A driver finds it dead at the latest
 * when it looks what is due. */
static void look_for_late_ones(void)
{
    for (size_t i = 0; i < model_count; i++)
        if (model[i].expires && model[i].expires <= model_now && model[i].state != JOB_LEASED &&
            model[i].state <= JOB_BLOCKED) {
            model_time(model_now);
            pass(0);
        }
}

static void step_restart(void)
{
    if (one_in(10))
        open_again();
}

/* All that there have been, asked for in one go. */
static void compare_jobs(int64_t levels[])
{
    static struct queue_look looks[MODEL_JOBS];
    for (size_t i = 0; i < model_count; i++) {
        looks[i] = (struct queue_look){.id = model[i].id};
        begin(&looks[i].op, QUEUE_GET, "q");
    }
    settle_all();
    for (size_t i = 0; i < model_count; i++) {
        const struct model_job *m = &model[i];
        const struct job *j = looks[i].job;
        assert_int_equal(looks[i].op.error, OK);
        assert_int_equal(looks[i].state, m->state);
        if (j) {
            assert_int_equal(j->deliveries, m->deliveries);
            assert_int_equal(j->failures, m->failures);
            assert_int_equal(j->death, m->state == JOB_DEAD ? m->death : DEATH_NONE);
            levels[m->state]++;
            levels[NUMBER_bytes] += m->state <= JOB_BLOCKED ? 4 : 0;
        }
        queue_op_deinit(&looks[i].op);
    }
}

/* Every job, and every count (I9, I10). */
static void compare(void)
{
    int64_t levels[QUEUE_LEVELS] = {0};
    compare_jobs(levels);
    struct queue_stats s = stats("q");
    for (int i = 0; i < QUEUE_LEVELS; i++)
        assert_int_equal(s.number[i], levels[i]);
    assert_int_equal(s.paused, model_paused);
    assert_int_equal(s.draining, model_draining);
}

static void forget_all(void)
{
    model_count = grant_count = 0;
    model_leases = 0;
    model_paused = model_draining = false;
    memset(model_key, 0, sizeof(model_key));
    memset(model_once, 0, sizeof(model_once));
}

static void driver_and_model_agree_whatever_happens(void **state) /* C2 */
{
    static void (*const steps[])(void) = {step_put,    step_put,     step_put,    step_take,
                                          step_take,   step_settle,  step_settle, step_settle,
                                          step_settle, step_time,    step_time,   step_cancel,
                                          step_dead,   step_control, step_restart};
    random_begin("queue model");
    const char *torture = getenv("MADANG_TORTURE"); /* NOLINT(concurrency-mt-unsafe): one thread */
    int rounds = (subject->tell_time ? FEW : ROUNDS) * (torture ? TORTURE : 1);
    for (int round = 0; round < rounds; round++) {
        forget_all();
        rules.max_jobs = 40;
        rules.max_deliveries = 6;
        rules.key_ms = 700;
        rules.max_inflight = random_below(4);
        model_time(clock_now);
        control("q", QUEUE_RESUME);
        for (int i = 0; i < STEPS; i++) {
            steps[random_below(COUNT_OF(steps))]();
            look_for_late_ones();
            if (i % 50 == 0)
                compare();
        }
        compare();
        (void)end_test(state);
        assert_int_equal(begin_test(state), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(driver_and_model_agree_whatever_happens)};
    unsynced = true;
    return over_every_driver(tests);
}
