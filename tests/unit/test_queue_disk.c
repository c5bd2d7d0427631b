/* SPDX-License-Identifier: MIT */
/* test_queue_disk.c: a queue in a file while any call to the disk fails, each in turn: once, from
 * then on, or for want of space. What was told is so, what was not told can be asked again, and
 * what frees space goes on (S7). MADANG_TORTURE=1 takes every call, else every few.
 */
#include "backplane/queue_local.h"

#include "backplane/base/log.h"
#include "tests/unit/queue_kit.h"

enum { JOBS = 8, HELD = 5, DRAINED = 3, HOUR = 3600000 };

/* What is done to those that are held, the last one being left alone. */
static const enum queue_verb verdicts[HELD] = {QUEUE_ACK, QUEUE_NACK, QUEUE_RELEASE, QUEUE_EXTEND,
                                               QUEUE_GET};

static struct seen {
    uint64_t id; /* 0: nobody was told that it is in */
    char token[QUEUE_TOKEN_MAX];
    enum queue_verb verdict; /* QUEUE_GET: none was tried */
    bool told;               /* … and it was told as done */
} seen[JOBS];
static unsigned scenes;
static char reserve[128];
static size_t not_told; /* takes and verdicts of a scene that ended with an error */

static enum err try_put(size_t i, enum put_status *status)
{
    char key[32];
    static char data[2000]; /* so that files grow */
    memset(data, 'x', sizeof(data));
    (void)snprintf(key, sizeof(key), "%u/%zu", scenes, i);
    struct queue_job j = {.kind = SPAN("k"), .data = {data, sizeof(data)}, .key = span_str(key)};
    struct queue_put p = {.op.queue.rules = &rules, .jobs = &j, .count = 1};
    enum err e = run(&p.op, QUEUE_PUT, "q");
    *status = j.status;
    if (!e && (j.status == PUT_OK || j.status == PUT_REPEATED))
        seen[i].id = j.id;
    return e;
}

static struct seen *seen_of(uint64_t id)
{
    for (size_t i = 0; i < JOBS; i++)
        if (seen[i].id == id)
            return &seen[i];
    return NULL;
}

static void take_some(void)
{
    struct queue_ref from = {.name = SPAN("q")};
    struct queue_take t = {.queues = &from, .queue_count = 1, .max = HELD, .lease_ms = HOUR};
    not_told += run(&t.op, QUEUE_TAKE, "") != OK;
    for (size_t i = 0; i < t.count; i++) {
        struct seen *s = seen_of(t.jobs[i]->id);
        if (!s) /* its put was not answered */
            continue;
        memcpy(s->token, t.jobs[i]->token, QUEUE_TOKEN_MAX);
        s->verdict = verdicts[i];
    }
    queue_op_deinit(&t.op);
}

static void settle_some(void)
{
    for (size_t i = 0; i < JOBS; i++) {
        struct seen *s = &seen[i];
        if (s->verdict == QUEUE_GET)
            continue;
        struct queue_item item = {.id = s->id, .token = span_str(s->token), .ms = HOUR};
        struct queue_settle o = {.items = &item, .count = 1};
        s->told = run(&o.op, s->verdict, "q") == OK;
        not_told += !s->told;
        if (s->told)
            assert_int_equal(item.status, SETTLED_OK);
    }
}

static void scene(void)
{
    enum put_status status;
    scenes++;
    not_told = 0;
    for (size_t i = 0; i < JOBS; i++) {
        seen[i] = (struct seen){.verdict = QUEUE_GET};
        (void)try_put(i, &status);
    }
    take_some();
    settle_some();
}

/* Where a job may be, after what was told of it. */
static bool is_as_told(const struct seen *s, enum job_state is)
{
    static const enum job_state after[QUEUE_VERBS] = {[QUEUE_ACK] = JOB_UNKNOWN,
                                                      [QUEUE_NACK] = JOB_DELAYED,
                                                      [QUEUE_RELEASE] = JOB_READY,
                                                      [QUEUE_EXTEND] = JOB_LEASED};
    if (!s->token[0]) /* perhaps a take had it whose answer got lost */
        return is == JOB_READY || is == JOB_LEASED;
    if (s->verdict == QUEUE_GET)
        return is == JOB_LEASED;
    return is == after[s->verdict] || (!s->told && is == JOB_LEASED);
}

static void assert_as_told(void)
{
    for (size_t i = 0; i < JOBS; i++)
        if (seen[i].id)
            assert_true(is_as_told(&seen[i], look("q", seen[i].id, NULL)));
    (void)stats("q"); /* I10 */
}

static void until_it_works(void)
{
    struct queue_job j = {.kind = SPAN("k"), .key = SPAN("probe")};
    struct queue_put p = {.jobs = &j, .count = 1};
    while (run(&p.op, QUEUE_PUT, "probe")) /* it is tried again each second */
        uv_run(&loop.uv, UV_RUN_ONCE);
}

/* Asked again, all is done, and once. */
static void assert_all_goes_on(void)
{
    enum put_status status;
    for (size_t i = 0; i < JOBS; i++) {
        uint64_t was = seen[i].id;
        assert_int_equal(try_put(i, &status), OK);
        bool acked = was && look("q", was, NULL) == JOB_UNKNOWN; /* and its key is free */
        assert_true(status == (was && !acked ? PUT_REPEATED : status) && seen[i].id);
        if (was && !acked)
            assert_int_equal(seen[i].id, was);
        if (seen[i].token[0] && look("q", was, NULL) == JOB_LEASED)
            assert_int_equal(settle("q", QUEUE_ACK, was, seen[i].token), SETTLED_OK);
        if (look("q", seen[i].id, NULL) != JOB_UNKNOWN)
            (void)settle("q", QUEUE_CANCEL, seen[i].id, "");
    }
    (void)stats("q");
}

static int stride(void)
{
    return getenv("MADANG_TORTURE") ? 1 : 11; /* NOLINT(concurrency-mt-unsafe): one thread */
}

static void repair(void)
{
    atomic_store(&faults.fails_in, 0);
    atomic_store(&faults.fails_on, 0);
    faults.reserve = NULL;
}

/* With each call in turn as the first that fails, until a scene has fewer. */
static void each_call_fails(void (*behind)(void))
{
    int n = 1;
    atomic_store(&faults.failed, 0);
    atomic_store(&faults.no_sync, 1); /* nobody takes the power away */
    for (int before = -1; atomic_load(&faults.failed) > before; n += stride()) {
        before = atomic_load(&faults.failed);
        atomic_store(&faults.fails_in, n);
        scene();
        behind();
        assert_as_told();
        open_again();
        assert_as_told();
        assert_all_goes_on();
    }
    assert_true(n > 40); /* else it was about little */
}

static void worked_again(void)
{
    repair();
    until_it_works();
}

static void a_call_that_fails_once_is_no_answer_and_nothing_told_is_lost(void **state)
{
    (void)state;
    each_call_fails(worked_again);
}

/* It is closed, too, while nothing can be written. */
static void started_again(void)
{
    close_queue();
    repair();
    open_queue();
    atomic_store(&faults.fails_on, 1);
}

static void a_disk_that_fails_from_then_on_loses_nothing_that_was_told(void **state)
{
    (void)state;
    atomic_store(&faults.fails_on, 1);
    each_call_fails(started_again);
    repair();
}

/* Those of another queue, one by one; what was not answered is asked again. */
static void drain(void)
{
    struct queue_ref from = {.name = SPAN("drained")};
    for (bool more = true; more;) {
        struct queue_take t = {.queues = &from, .queue_count = 1, .max = 1, .lease_ms = HOUR};
        bool failed = run(&t.op, QUEUE_TAKE, "") != OK;
        not_told += failed;
        more = failed || t.count;
        if (!t.count)
            continue;
        struct queue_item item = {.id = t.jobs[0]->id, .token = span_str(t.jobs[0]->token)};
        struct queue_settle o = {.items = &item, .count = 1};
        while (run(&o.op, QUEUE_ACK, "drained"))
            not_told++;
        assert_true(item.status == SETTLED_OK || item.status == SETTLED_GONE);
        queue_op_deinit(&t.op);
    }
}

static uint64_t failures_before;

/* Each time that the disk is found to be full costs one batch, and there is one thing in a batch.
 * From then on the reserve is there for all that frees space. */
static void drained(void)
{
    enum put_status status = PUT_OK;
    if (atomic_load(&faults.failed) && counter_get(&store_counters(store)->full))
        assert_true(try_put(JOBS - 1, &status) || status == PUT_FULL || status == PUT_REPEATED);
    drain();
    assert_true(not_told <= counter_get(&store_counters(store)->failures) - failures_before);
    repair();
    open_again(); /* with space for another reserve */
    for (int i = 0; i < DRAINED; i++)
        put_text("drained", "x");
    faults.reserve = reserve;
    failures_before = counter_get(&store_counters(store)->failures);
}

static void a_disk_that_is_full_from_then_on_lets_the_queue_drain(void **state)
{
    (void)state;
    (void)snprintf(reserve, sizeof(reserve), "%s.ballast", path);
    for (int i = 0; i < DRAINED; i++)
        put_text("drained", "x");
    faults.reserve = reserve;
    failures_before = counter_get(&store_counters(store)->failures);
    each_call_fails(drained);
    repair();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_call_that_fails_once_is_no_answer_and_nothing_told_is_lost),
        TEST(a_disk_that_fails_from_then_on_loses_nothing_that_was_told),
        TEST(a_disk_that_is_full_from_then_on_lets_the_queue_drain),
    };
    log_set_level((enum log_level) - 1);
    return over_local(tests, sizeof(tests) / sizeof(*tests));
}
