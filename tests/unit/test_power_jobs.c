/* SPDX-License-Identifier: MIT */
/* test_power_jobs.c: a queue in a file while the power fails at any call: a job that was told as
 * put is there, one that was told as done does not come back, and a lease that was told holds (S6,
 * I11).
 */
#include "backplane/queue_local.h"

#include "backplane/base/log.h"
#include "tests/unit/queue_kit.h"

#define CUTS    60
#define TORTURE 17 /* times as many: over 1000 */
#define WORK    24 /* operations under way at once, at most */
#define JOBS    200000
#define LEASE   (3600 * 1000)

/* What is known of a job. */
enum known { NOT_PUT, PUT_TOLD, LEASE_TOLD, DONE_TOLD, IN_DOUBT };

static struct {
    uint64_t id;
    enum known known;
    char token[QUEUE_TOKEN_MAX];
} jobs[JOBS];
static size_t job_count;
static size_t told_puts, told_acks, ended;

/* One thing that a client does. */
struct act {
    union {
        struct queue_op op;
        struct queue_put put;
        struct queue_take take;
        struct queue_settle ack;
    };
    struct queue_job job;
    struct queue_item item;
    struct queue_ref from;
    size_t about; /* index of the job */
};
static struct act acts[WORK];

static size_t index_of(uint64_t id)
{
    for (size_t i = job_count; i--;)
        if (jobs[i].id == id)
            return i;
    return SIZE_MAX;
}

static void learn_of(const struct act *a)
{
    if (a->op.error && a->op.verb == QUEUE_ACK)
        jobs[a->about].known = IN_DOUBT;
    if (a->op.error)
        return;
    switch (a->op.verb) {
    case QUEUE_PUT:
        if (a->job.status != PUT_OK)
            return; /* refused: the disk does not work */
        assert_true(job_count < JOBS && a->put.durable == DURABLE_FSYNC);
        jobs[job_count].id = a->job.id;
        jobs[job_count++].known = PUT_TOLD;
        told_puts++;
        break;
    case QUEUE_TAKE:
        for (size_t i = 0; i < a->take.count; i++) {
            size_t at = index_of(a->take.jobs[i]->id);
            if (at == SIZE_MAX) /* its put was not answered */
                continue;
            assert_int_equal(jobs[at].known, PUT_TOLD); /* nobody has it, and it is not done */
            jobs[at].known = LEASE_TOLD;
            memcpy(jobs[at].token, a->take.jobs[i]->token, QUEUE_TOKEN_MAX);
        }
        break;
    default:
        assert_int_equal(a->item.status, SETTLED_OK);
        jobs[a->about].known = DONE_TOLD;
        told_acks++;
    }
}

static void act_ended(struct queue_op *op)
{
    struct act *a = container_of(op, struct act, op);
    learn_of(a);
    queue_op_deinit(op);
    ended++;
}

static void put_act(struct act *a)
{
    a->job = (struct queue_job){.kind = SPAN("k"), .data = SPAN("\"work\"")};
    a->put = (struct queue_put){.jobs = &a->job, .count = 1};
    a->op.verb = QUEUE_PUT;
}

static void take_act(struct act *a)
{
    a->from = (struct queue_ref){.name = SPAN("q")};
    a->take =
        (struct queue_take){.queues = &a->from, .queue_count = 1, .max = 2, .lease_ms = LEASE};
    a->op.verb = QUEUE_TAKE;
}

/* False: nobody holds one. */
static bool ack_act(struct act *a)
{
    for (size_t i = job_count; i--;) {
        if (jobs[i].known != LEASE_TOLD)
            continue;
        jobs[i].known = IN_DOUBT; /* until it is answered; none is acked twice */
        a->about = i;
        a->item = (struct queue_item){.id = jobs[i].id, .token = span_str(jobs[i].token)};
        a->ack = (struct queue_settle){.items = &a->item, .count = 1};
        a->op.verb = QUEUE_ACK;
        return true;
    }
    return false;
}

static void work(void)
{
    size_t n = 1 + random_below(WORK);
    ended = 0;
    for (size_t i = 0; i < n; i++) {
        struct act *a = &acts[i];
        if (one_in(3))
            take_act(a);
        else if (one_in(2) || !ack_act(a))
            put_act(a);
        a->op.queue.name = SPAN("q");
        a->op.done = act_ended;
        queue_begin(driver, &a->op);
    }
    while (ended < n)
        uv_run(&loop.uv, UV_RUN_ONCE);
}

/* What is in the file is what was told. */
static void check(void)
{
    for (size_t i = 0; i < job_count; i++) {
        if (jobs[i].known == IN_DOUBT)
            continue;
        enum job_state state = look("q", jobs[i].id, NULL);
        if (jobs[i].known == DONE_TOLD)
            assert_int_equal(state, JOB_UNKNOWN);
        else if (jobs[i].known == LEASE_TOLD)
            assert_int_equal(state, JOB_LEASED);
        else /* a take whose answer got lost may have it */
            assert_true(state == JOB_READY || state == JOB_LEASED);
    }
    (void)stats("q"); /* I10 */
}

/* Jobs that nothing more is to be learned of are forgotten, so that a check stays short. */
static void forget_the_old(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < job_count; i++)
        if (jobs[i].known != IN_DOUBT && (jobs[i].known != DONE_TOLD || job_count - i < 20))
            jobs[kept++] = jobs[i];
    job_count = kept > 200 ? 0 : kept;
}

static void what_was_told_of_jobs_survives_the_end_of_power(void **state)
{
    (void)state;
    const char *torture = getenv("MADANG_TORTURE"); /* NOLINT(concurrency-mt-unsafe): one thread */
    random_begin("power_jobs");
    job_count = told_puts = told_acks = 0;
    atomic_store(&faults.no_sync, 1);
    for (int i = 0; i < CUTS * (torture ? TORTURE : 1); i++) {
        power_fails_in(1 + random_below(150));
        while (!atomic_load(&power.off))
            work();
        close_queue();
        power_returns();
        open_queue();
        check();
        forget_the_old();
    }
    printf("%zu put, %zu done\n", told_puts, told_acks);
    assert_true(told_puts > 5 * CUTS && told_acks > CUTS); /* else nothing was tried */
}

static int begin_powered(void **state)
{
    power_kit_begin();
    return begin_test(state);
}

static int end_powered(void **state)
{
    int rc = end_test(state);
    power_kit_end();
    return rc;
}

#define POWERED(f) cmocka_unit_test_setup_teardown(f, begin_powered, end_powered)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        POWERED(what_was_told_of_jobs_survives_the_end_of_power)};
    subject = &local_subject;
    map_seed();
    log_set_level(LOG_ERROR);
    if (vfs_kit_register() != SQLITE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
