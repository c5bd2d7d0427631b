/* SPDX-License-Identifier: MIT */
/* test_seq_control.c: orders and decisions over a shared driver that answers when the test says. */
#include "backplane/seq_control.h"

#include "backplane/base/map.h"
#include "tests/unit/far_driver.h"

#define BAN "{\"id\":\"n-1\",\"op\":\"sanction\",\"sanction\":\"ban\",\"user\":\"%s\"}"

static int opened;   /* times */
static uint64_t top; /* of the stream of orders */

/* ---- what it tells -------------------------------------------------------------------------- */

static void tell_returned(void)
{
    far()->base.config.events->returned(seq);
}

/* Who is banned by them; NULL: nobody. */
static void answer_records(const char *banned)
{
    char text[200];
    (void)snprintf(text, sizeof(text), BAN, banned ? banned : "");
    struct span record = span_str(text);
    far_answer(SHARE_RECORDS, &record, banned != NULL);
}

/* Another gateway bans somebody. */
static void tell_banned(const char *user)
{
    char text[200];
    (void)snprintf(text, sizeof(text), BAN, user);
    struct msg *m = publication(CONTROL_STREAM, text);
    struct position at = {.epoch = "e", .offset = ++top};
    push_close(m, at.offset, 0);
    far()->base.config.events->published(seq, far()->watched, m, &at);
    msg_unref(m);
}

static uint64_t bans(void)
{
    return counter_get(&sequencer_counters(seq)->bans);
}

/* ---- the scene ------------------------------------------------------------------------------ */

static void on_opened(void *owner)
{
    (void)owner;
    opened++;
}

static int start_keeping(void **state)
{
    (void)state;
    opened = 0;
    top = 0;
    start_far(on_opened);
    far_keep(SHARE_RECORDS);
    return 0;
}

/* As far as it comes without an answer about decisions. */
static void begin(void)
{
    tell_returned();
    far_answer_read(top);
    assert_int_equal(opened, 0);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void sessions_may_come_when_the_end_of_the_stream_and_decisions_are_known(void **state)
{
    (void)state;
    begin();
    answer_records("u");
    assert_int_equal(opened, 1);
    assert_int_equal(bans(), 1);
    assert_null(far()->asked[SHARE_RECORDS]);
}

static void a_second_server_that_comes_meanwhile_keeps_nobody_out(void **state)
{
    (void)state;
    begin();
    tell_returned();
    answer_records(NULL);
    assert_int_equal(opened, 1);
    answer_records("u"); /* it was asked again */
    assert_int_equal(bans(), 1);
    assert_int_equal(counter_get(&sequencer_counters(seq)->recalls), 0);
}

static void a_decision_made_while_records_are_read_is_not_forgotten(void **state)
{
    (void)state;
    begin();
    tell_banned("u");
    assert_int_equal(bans(), 1);
    answer_records(NULL); /* as they were before */
    assert_int_equal(bans(), 1);
    answer_records("u");
    assert_int_equal(bans(), 1);
    assert_null(far()->asked[SHARE_RECORDS]);
}

static void what_was_lifted_while_nothing_was_heard_is_forgotten(void **state)
{
    (void)state;
    begin();
    answer_records("u");
    tell_returned();
    answer_records(NULL);
    assert_int_equal(bans(), 0);
}

static void records_that_could_not_be_read_are_asked_for_again(void **state)
{
    (void)state;
    begin();
    far_fail(SHARE_RECORDS);
    assert_int_equal(opened, 0);
    while (!far()->asked[SHARE_RECORDS])
        uv_run(&seq_loop.uv, UV_RUN_ONCE); /* until its timer has fired */
    answer_records("u");
    assert_int_equal(opened, 1);
    assert_int_equal(bans(), 1);
}

#define FAR(f) cmocka_unit_test_setup_teardown(f, start_keeping, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        FAR(sessions_may_come_when_the_end_of_the_stream_and_decisions_are_known),
        FAR(a_second_server_that_comes_meanwhile_keeps_nobody_out),
        FAR(a_decision_made_while_records_are_read_is_not_forgotten),
        FAR(what_was_lifted_while_nothing_was_heard_is_forgotten),
        FAR(records_that_could_not_be_read_are_asked_for_again),
    };
    map_seed();
    return cmocka_run_group_tests_name("seq control", tests, NULL, NULL);
}
