/* SPDX-License-Identifier: MIT */
/* test_queue_contract.c: what queue.h promises of leases, asked of every driver. */
#include "backplane/queue/queue.h"

#include "tests/unit/queue_kit.h"

/* ---- operations ------------------------------------------------------------------------------ */

static const void *order[64];
static size_t order_count;

static void note_order(struct queue_op *op)
{
    assert_false(inside);
    order[order_count++] = op;
}

static void every_operation_ends_once_in_order_and_never_inside_the_call(void **state)
{
    (void)state;
    struct queue_job jobs[8];
    struct queue_put puts[8] = {0};
    struct queue_stats asked[8] = {0};
    struct queue_ref from = {.name = SPAN("q")};
    struct queue_take takes[8] = {0};
    order_count = 0;
    for (size_t i = 0; i < 8; i++) {
        jobs[i] = (struct queue_job){.kind = SPAN("k"), .data = SPAN("1")};
        puts[i] = (struct queue_put){.jobs = &jobs[i], .count = 1};
        takes[i] =
            (struct queue_take){.queues = &from, .queue_count = 1, .max = 1, .lease_ms = 1000};
        struct queue_op *ops[] = {&puts[i].op, &asked[i].op, &takes[i].op};
        static const enum queue_verb verbs[] = {QUEUE_PUT, QUEUE_STATS, QUEUE_TAKE};
        for (size_t k = 0; k < 3; k++) {
            *ops[k] =
                (struct queue_op){.verb = verbs[k], .queue.name = SPAN("q"), .done = note_order};
            inside = true;
            queue_begin(driver, ops[k]);
            inside = false;
        }
    }
    settle_all();
    assert_int_equal(order_count, 24);
    for (size_t i = 0; i < 8; i++) {
        assert_ptr_equal(order[3 * i], &puts[i]);
        assert_ptr_equal(order[3 * i + 1], &asked[i]);
        assert_ptr_equal(order[3 * i + 2], &takes[i]);
        assert_int_equal(asked[i].number[NUMBER_ready], 1); /* the one before was taken */
        assert_int_equal(takes[i].count, 1);
        assert_int_equal(takes[i].jobs[0]->id, jobs[i].id);
        queue_op_deinit(&takes[i].op);
    }
}

static void what_is_out_of_bounds_is_refused(void **state)
{
    (void)state;
    struct queue_job bad[] = {
        {.data = SPAN("no kind")},
        {.kind = SPAN("k"), .priority = JOB_PRIORITIES},
        {.kind = SPAN("k"), .group = SPAN("g"), .delay_ms = 1},
        {.kind = SPAN("k"), .again = true},
        {.kind = SPAN("k"), .delay_ms = 1, .at_ms = NOON},
        {.kind = SPAN("k"), .key = SPAN("\xff")},
        {.kind = SPAN("k"), .delay_ms = QUEUE_DELAY_MAX + 1},
        {.kind = SPAN("k"), .data = SPAN("good")},
    };
    struct queue_put p = {.jobs = bad, .count = 8};
    assert_int_equal(run(&p.op, QUEUE_PUT, "q"), OK);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(bad[i].status, PUT_BAD);
    assert_int_equal(bad[7].status, PUT_OK);
    p.count = QUEUE_ITEMS_MAX + 1;
    assert_int_equal(run(&p.op, QUEUE_PUT, "q"), ERR_BAD_REQUEST);
    p.count = 8;
    assert_int_equal(run(&p.op, QUEUE_PUT, ""), ERR_BAD_REQUEST);
    struct queue_ref from = {.name = SPAN("q")};
    struct queue_take t = {.queues = &from, .queue_count = 1, .max = 1};
    assert_int_equal(run(&t.op, QUEUE_TAKE, ""), ERR_BAD_REQUEST); /* no lease time */
    struct queue_item item = {.ms = QUEUE_LEASE_MAX + 1};
    struct queue_settle s = {.items = &item, .count = 1};
    assert_int_equal(run(&s.op, QUEUE_EXTEND, "q"), ERR_BAD_REQUEST);
    assert_int_equal(stats("q").number[NUMBER_ready], 1);
}

/* ---- order and time -------------------------------------------------------------------------- */

static void jobs_come_by_priority_and_then_by_age(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        uint8_t priority;
    } put_so[] = {{"a2", 2}, {"b0", 0}, {"c2", 2}, {"d1", 1}, {"e0", 0}, {"f3", 3}};
    static const char *const come[] = {"b0", "e0", "d1", "a2", "c2", "f3"};
    uint64_t last = 0;
    for (size_t i = 0; i < 6; i++) {
        struct queue_job j = {.data = span_str(put_so[i].data), .priority = put_so[i].priority};
        assert_int_equal(put("q", &j), PUT_OK);
        assert_true(j.id > last && j.id < 1ULL << 53);
        last = j.id;
    }
    assert_int_equal(take("q", 4, 1000), 4);
    assert_true(taken.more);
    for (size_t i = 0; i < 4; i++)
        assert_job(taken.jobs[i], come[i]);
    assert_int_equal(take("q", 10, 1000), 2);
    assert_false(taken.more);
    for (size_t i = 0; i < 2; i++)
        assert_job(taken.jobs[i], come[4 + i]);
}

static void a_job_comes_as_it_was_put(void **state)
{
    (void)state;
    struct queue_job j = {.kind = SPAN("mail"),
                          .data = {"{\"a\":\0 1}", 9},
                          .key = SPAN("key"),
                          .group = SPAN("방"),
                          .priority = 3};
    assert_int_equal(put("q", &j), PUT_OK);
    const struct job *got = take_one("q", 1000);
    assert_int_equal(got->id, j.id);
    assert_true(span_eq(got->queue, SPAN("q")));
    assert_true(span_eq(got->kind, j.kind));
    assert_true(span_eq(got->data, j.data));
    assert_true(span_eq(got->key, j.key));
    assert_true(span_eq(got->group, j.group));
    assert_int_equal(got->priority, 3);
    assert_int_equal(got->deliveries, 1);
    assert_int_equal(got->failures, 0);
    if (subject->our_clock) {
        assert_int_equal(got->created_ms, NOON);
        assert_int_equal(got->until_ms, NOON + 1000);
    }
}

static void a_delayed_job_is_not_early(void **state)
{
    (void)state;
    struct queue_job soon = {.data = SPAN("soon"), .delay_ms = 50};
    struct queue_job past = {.data = SPAN("past"), .at_ms = 1};
    assert_int_equal(put("q", &soon), PUT_OK);
    assert_int_equal(put("q", &past), PUT_OK);
    assert_job(take_one("q", 1000), "past");
    if (subject->our_clock) {
        pass(49);
        assert_int_equal(take("q", 1, 1000), 0);
        pass(1);
    } else {
        pass(60);
    }
    assert_job(take_one("q", 1000), "soon");
}

static void a_take_is_bounded_by_bytes_and_serves_several_queues(void **state)
{
    (void)state;
    struct queue_ref from[] = {{.name = SPAN("none")}, {.name = SPAN("b")}, {.name = SPAN("a")}};
    put_text("a", "aaaa");
    put_text("b", "bbbb");
    put_text("b", "cccc");
    struct queue_take t = {
        .queues = from, .queue_count = 3, .max = 10, .max_bytes = 8, .lease_ms = 1000};
    assert_int_equal(run(&t.op, QUEUE_TAKE, ""), OK);
    assert_int_equal(t.count, 2);
    assert_job(t.jobs[0], "bbbb");
    assert_job(t.jobs[1], "cccc");
    assert_true(t.more);
    queue_op_deinit(&t.op);
    t.max_bytes = 1; /* one comes, whatever its size */
    assert_int_equal(run(&t.op, QUEUE_TAKE, ""), OK);
    assert_int_equal(t.count, 1);
    assert_job(t.jobs[0], "aaaa");
    queue_op_deinit(&t.op);
}

/* ---- leases ---------------------------------------------------------------------------------- */

static void only_the_holder_settles_and_only_once(void **state)
{
    (void)state;
    uint64_t other = put_text("other", "x");
    uint64_t id = put_text("q", "1");
    assert_int_equal(settle("q", QUEUE_ACK, id, "1.0000000000000000"), SETTLED_LEASE_LOST);
    const struct job *j = take_one("q", 1000);
    static const char *const wrong[] = {
        "", "x", "1", "1.", "0.0000000000000000", "99999999999999999999999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_int_equal(settle("q", QUEUE_ACK, id, wrong[i]), SETTLED_LEASE_LOST);
    char longer[QUEUE_TOKEN_MAX + 1];
    (void)snprintf(longer, sizeof(longer), "%s0", j->token);
    assert_int_equal(settle("q", QUEUE_ACK, id, longer), SETTLED_LEASE_LOST);
    memcpy(longer, j->token, sizeof(j->token)); /* the right number, and not its other part */
    char *last = &longer[strlen(longer) - 1];
    *last = *last == '0' ? '1' : '0';
    assert_int_equal(settle("q", QUEUE_ACK, id, longer), SETTLED_LEASE_LOST);
    assert_int_equal(settle("q", QUEUE_EXTEND, id, longer), SETTLED_LEASE_LOST);
    assert_int_equal(settle("other", QUEUE_ACK, id, j->token), SETTLED_GONE);
    assert_int_equal(settle("q", QUEUE_ACK, other, j->token), SETTLED_GONE);
    assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_OK);
    assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_GONE);
    assert_int_equal(settle_job(QUEUE_NACK, j), SETTLED_GONE);
    assert_int_equal(stats("q").number[NUMBER_acked], 1);
}

static void items_of_one_operation_have_an_answer_each(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        put_text("q", "x");
    assert_int_equal(take("q", 3, 1000), 3);
    struct queue_item items[4];
    for (size_t i = 0; i < 3; i++)
        items[i] =
            (struct queue_item){.id = taken.jobs[i]->id, .token = span_str(taken.jobs[i]->token)};
    items[1].token = SPAN("1.0000000000000001");
    items[3] = items[0];
    struct queue_settle s = {.items = items, .count = 4};
    assert_int_equal(run(&s.op, QUEUE_ACK, "q"), OK);
    assert_int_equal(items[0].status, SETTLED_OK);
    assert_int_equal(items[1].status, SETTLED_LEASE_LOST);
    assert_int_equal(items[2].status, SETTLED_OK);
    assert_int_equal(items[3].status, SETTLED_GONE);
}

static void a_lease_ends_to_the_millisecond(void **state) /* C1 */
{
    (void)state;
    if (!subject->our_clock)
        return;
    for (int late = -1; late <= 1; late++) {
        put_text("q", "1");
        const struct job *j = take_one("q", 1000);
        clock_now = j->until_ms + (uint64_t)late;
        assert_int_equal(settle_job(QUEUE_EXTEND, j), late < 0 ? SETTLED_OK : SETTLED_LEASE_LOST);
        assert_int_equal(settle_job(QUEUE_ACK, j), late < 0 ? SETTLED_OK : SETTLED_LEASE_LOST);
    }
}

/* More than a driver looks at in one go: each ends once, and none can be acked meanwhile. */
static void leases_that_end_by_the_hundred_are_all_lost(void **state)
{
    (void)state;
    if (!subject->our_clock)
        return;
    enum { MANY = 3 * QUEUE_ITEMS_MAX };
    static struct queue_item items[MANY];
    static char tokens[MANY][QUEUE_TOKEN_MAX];
    static struct queue_job jobs[QUEUE_ITEMS_MAX];
    for (size_t i = 0; i < MANY; i += QUEUE_ITEMS_MAX) {
        for (size_t k = 0; k < QUEUE_ITEMS_MAX; k++)
            jobs[k] = (struct queue_job){.kind = SPAN("k"), .data = SPAN("1")};
        struct queue_put p = {.jobs = jobs, .count = QUEUE_ITEMS_MAX};
        assert_int_equal(run(&p.op, QUEUE_PUT, "q"), OK);
        assert_int_equal(take("q", QUEUE_ITEMS_MAX, 1000), QUEUE_ITEMS_MAX);
        for (size_t k = 0; k < QUEUE_ITEMS_MAX; k++) {
            memcpy(tokens[i + k], taken.jobs[k]->token, QUEUE_TOKEN_MAX);
            items[i + k] =
                (struct queue_item){.id = taken.jobs[k]->id, .token = span_str(tokens[i + k])};
        }
    }
    clock_now += 1000;
    for (size_t i = MANY; i;) {
        i -= QUEUE_ITEMS_MAX; /* those that are looked at last come first */
        struct queue_settle s = {.items = &items[i], .count = QUEUE_ITEMS_MAX};
        assert_int_equal(run(&s.op, QUEUE_ACK, "q"), OK);
        for (size_t k = 0; k < QUEUE_ITEMS_MAX; k++)
            assert_int_equal(items[i + k].status, SETTLED_LEASE_LOST);
    }
    struct queue_stats s = {0};
    while (s.number[NUMBER_lapsed] < MANY) { /* by and by */
        pass(0);
        s = (struct queue_stats){0};
        assert_int_equal(run(&s.op, QUEUE_STATS, "q"), OK);
    }
    s = stats("q");
    assert_int_equal(s.number[NUMBER_lapsed], MANY);
    assert_int_equal(s.number[NUMBER_acked], 0);
}

static void a_lost_lease_is_a_failure_and_the_next_lease_another(void **state)
{
    (void)state;
    uint64_t id = put_text("q", "1");
    const struct job *j = take_one("q", 50);
    char first[QUEUE_TOKEN_MAX];
    memcpy(first, j->token, sizeof(first));
    pass(60);
    assert_int_equal(take("q", 1, 50), 0); /* it waits first: it may have killed its worker */
    pass(100);
    j = take_one("q", 10000);
    assert_int_equal(j->id, id);
    assert_int_equal(j->deliveries, 2);
    assert_int_equal(j->failures, 1);
    assert_true(strtoull(j->token, NULL, 10) > strtoull(first, NULL, 10)); /* I5 */
    assert_int_equal(settle("q", QUEUE_ACK, id, first), SETTLED_LEASE_LOST);
    assert_int_equal(settle("q", QUEUE_EXTEND, id, first), SETTLED_LEASE_LOST);
    assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_OK);
    struct queue_stats s = stats("q");
    assert_int_equal(s.number[NUMBER_lapsed], 1);
    assert_int_equal(s.number[NUMBER_failed], 0);
}

static void an_extended_lease_lasts_from_now(void **state)
{
    (void)state;
    put_text("q", "1");
    const struct job *j = take_one("q", 100);
    struct queue_item item = {.id = j->id, .token = span_str(j->token), .ms = 5000};
    assert_int_equal(settle_item("q", QUEUE_EXTEND, &item), SETTLED_OK);
    if (subject->our_clock)
        assert_int_equal(item.until_ms, NOON + 5000);
    pass(200);
    assert_int_equal(settle_item("q", QUEUE_EXTEND, &item), SETTLED_OK);
    if (subject->our_clock) {
        item.ms = QUEUE_LEASE_MAX; /* of the whole delivery */
        assert_int_equal(settle_item("q", QUEUE_EXTEND, &item), SETTLED_OK);
        assert_int_equal(item.until_ms, NOON + QUEUE_LEASE_MAX);
    }
    assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_OK);
}

static void a_failed_job_waits_longer_each_time(void **state)
{
    (void)state;
    static const uint64_t wait[] = {100, 200, 400, 800, 1000, 1000};
    if (!subject->our_clock)
        return;
    put_text("q", "1");
    for (size_t i = 0; i < 6; i++) {
        const struct job *j = take_one("q", 1000);
        assert_int_equal(j->failures, i);
        chance = i % 2 ? wait[i] / 2 : 0; /* most, least */
        uint64_t expected = i % 2 ? wait[i] : wait[i] / 2;
        assert_int_equal(settle_job(QUEUE_NACK, j), SETTLED_OK);
        pass(expected - 1);
        assert_int_equal(take("q", 1, 1000), 0);
        pass(1);
    }
}

static void a_nack_says_when_and_why(void **state)
{
    (void)state;
    uint64_t id = put_text("q", "1");
    const struct job *j = take_one("q", 1000);
    struct queue_item item = {
        .id = id, .token = span_str(j->token), .ms = 30, .text = SPAN("no route")};
    assert_int_equal(settle_item("q", QUEUE_NACK, &item), SETTLED_OK);
    assert_int_equal(take("q", 1, 1000), 0);
    pass(40);
    j = take_one("q", 1000);
    assert_true(span_eq(j->error, SPAN("no route")));
    item.token = span_str(j->token);
    item.ms = 0;
    assert_int_equal(settle_item("q", QUEUE_NACK, &item), SETTLED_OK);
    assert_int_equal(take("q", 1, 1000), 1); /* at once */
}

static void a_release_counts_no_failure_but_does_not_go_on_for_ever(void **state) /* C4 */
{
    (void)state;
    rules.max_deliveries = 5;
    uint64_t id = put_text("q", "1");
    for (uint32_t i = 1; i <= 5; i++) {
        const struct job *j = take_one("q", 1000);
        assert_int_equal(j->deliveries, i);
        assert_int_equal(j->failures, 0);
        assert_int_equal(settle_job(QUEUE_RELEASE, j), SETTLED_OK);
    }
    assert_int_equal(take("q", 1, 1000), 0);
    struct job *dead;
    assert_int_equal(look("q", id, &dead), JOB_DEAD);
    assert_int_equal(dead->death, DEATH_DELIVERIES);
    assert_int_equal(dead->deliveries, 5);
    free(dead);
}

static void a_job_that_kills_its_worker_dies_and_the_others_do_not_notice(void **state) /* C3 */
{
    (void)state;
    struct queue_job poison = {.data = SPAN("poison"), .max_failures = 3};
    assert_int_equal(put("q", &poison), PUT_OK);
    for (int i = 0; i < 3; i++) {
        uint64_t well = put_text("q", "well");
        assert_int_equal(take("q", 2, 30), 2); /* its worker is never heard of again */
        assert_int_equal(taken.jobs[0]->id, poison.id);
        assert_int_equal(settle("q", QUEUE_ACK, well, taken.jobs[1]->token), SETTLED_OK);
        pass(40);
        settle_all();
        pass(400);
    }
    struct job *dead;
    assert_int_equal(look("q", poison.id, &dead), JOB_DEAD);
    assert_int_equal(dead->death, DEATH_FAILURES);
    assert_int_equal(dead->failures, 3);
    assert_int_equal(dead->deliveries, 3);
    free(dead);
    struct queue_stats s = stats("q");
    assert_int_equal(s.number[NUMBER_acked], 3);
    assert_int_equal(s.number[NUMBER_dead], 1);
}

static void what_is_rejected_is_dead_at_once(void **state)
{
    (void)state;
    uint64_t id = put_text("q", "1");
    struct queue_item item = {
        .id = id, .token = span_str(take_one("q", 1000)->token), .fatal = true, .ms = 0};
    assert_int_equal(settle_item("q", QUEUE_NACK, &item), SETTLED_OK);
    assert_int_equal(look("q", id, NULL), JOB_DEAD);
    assert_int_equal(settle_item("q", QUEUE_ACK, &item), SETTLED_LEASE_LOST); /* not done */
}

static void a_job_past_its_time_is_dead_or_dropped(void **state)
{
    (void)state;
    for (int drop = 0; drop <= 1; drop++) {
        rules.drop_expired = drop;
        struct queue_job j = {.data = SPAN("1"), .ttl_ms = 50};
        assert_int_equal(put("q", &j), PUT_OK);
        pass(60);
        assert_int_equal(take("q", 1, 1000), 0);
        assert_int_equal(look("q", j.id, NULL), drop ? JOB_UNKNOWN : JOB_DEAD);
    }
    struct queue_job held = {.data = SPAN("2"), .ttl_ms = 50};
    assert_int_equal(put("q", &held), PUT_OK);
    const struct job *j = take_one("q", 5000); /* while a worker has it, it lives */
    pass(60);
    assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_OK);
}

static void a_cancelled_job_is_not_run_again(void **state)
{
    (void)state;
    uint64_t ready = put_text("q", "1");
    assert_int_equal(settle("q", QUEUE_CANCEL, ready, ""), SETTLED_OK);
    assert_int_equal(settle("q", QUEUE_CANCEL, ready, ""), SETTLED_GONE);
    static const enum queue_verb ends[] = {QUEUE_ACK, QUEUE_NACK, QUEUE_RELEASE};
    static const enum settled answers[] = {SETTLED_OK, SETTLED_CANCELLED, SETTLED_CANCELLED};
    for (size_t i = 0; i < 3; i++) {
        uint64_t id = put_text("q", "2");
        const struct job *j = take_one("q", 1000);
        assert_int_equal(settle("q", QUEUE_CANCEL, id, ""), SETTLED_CANCELLED);
        assert_int_equal(settle_job(QUEUE_EXTEND, j), SETTLED_CANCELLED);
        assert_int_equal(settle_job(ends[i], j), answers[i]);
        assert_int_equal(look("q", id, NULL), JOB_UNKNOWN);
    }
    uint64_t id = put_text("q", "3");
    take_one("q", 30);
    assert_int_equal(settle("q", QUEUE_CANCEL, id, ""), SETTLED_CANCELLED);
    pass(40); /* nobody said anything */
    assert_int_equal(look("q", id, NULL), JOB_UNKNOWN);
    assert_int_equal(stats("q").number[NUMBER_cancelled], 5);
}

static void which_queues_there_are_is_told_by_pages(void **state)
{
    (void)state;
    struct queue_names n = {.max = 2};
    assert_int_equal(run(&n.op, QUEUE_NAMES, ""), OK);
    assert_int_equal(n.count, 0);
    queue_op_deinit(&n.op);
    (void)put_text("b", "1");
    (void)put_text("ab", "1");
    control("c", QUEUE_PAUSE);
    assert_int_equal(run(&n.op, QUEUE_NAMES, ""), OK);
    assert_int_equal(n.count, 2);
    assert_span(((struct span){n.names[0].p, n.names[0].n}), "ab");
    assert_span(((struct span){n.names[1].p, n.names[1].n}), "b");
    queue_op_deinit(&n.op);
    n.after = SPAN("b");
    assert_int_equal(run(&n.op, QUEUE_NAMES, ""), OK);
    assert_int_equal(n.count, 1);
    assert_span(((struct span){n.names[0].p, n.names[0].n}), "c");
    queue_op_deinit(&n.op);
}

/* ---- all of it over every driver ------------------------------------------------------------- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_operation_ends_once_in_order_and_never_inside_the_call),
        TEST(what_is_out_of_bounds_is_refused),
        TEST(jobs_come_by_priority_and_then_by_age),
        TEST(a_job_comes_as_it_was_put),
        TEST(a_delayed_job_is_not_early),
        TEST(a_take_is_bounded_by_bytes_and_serves_several_queues),
        TEST(only_the_holder_settles_and_only_once),
        TEST(items_of_one_operation_have_an_answer_each),
        TEST(a_lease_ends_to_the_millisecond),
        TEST(leases_that_end_by_the_hundred_are_all_lost),
        TEST(a_lost_lease_is_a_failure_and_the_next_lease_another),
        TEST(an_extended_lease_lasts_from_now),
        TEST(a_failed_job_waits_longer_each_time),
        TEST(a_nack_says_when_and_why),
        TEST(a_release_counts_no_failure_but_does_not_go_on_for_ever),
        TEST(a_job_that_kills_its_worker_dies_and_the_others_do_not_notice),
        TEST(what_is_rejected_is_dead_at_once),
        TEST(a_job_past_its_time_is_dead_or_dropped),
        TEST(a_cancelled_job_is_not_run_again),
        TEST(which_queues_there_are_is_told_by_pages),
    };
    return over_every_driver(tests);
}
