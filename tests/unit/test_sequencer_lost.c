/* SPDX-License-Identifier: MIT */
/* test_sequencer_lost.c: a driver that has to say that publications were lost on their way. */
#include "backplane/sequencer.h"

#include "backplane/base/map.h"
#include "tests/unit/late_driver.h"
#include "tests/unit/seq_scene.h"

static struct late *late(void)
{
    return container_of(sequencer_driver(seq), struct late, base);
}

/* The harness again, over the driver that can lose. */
static int start_late(void **state)
{
    (void)state;
    random_begin("sequencer lost");
    struct sequencer_config c = config();
    c.driver = &late_driver;
    harness_open(&c, false);
    return 0;
}

static struct stream_ref *watched(void)
{
    struct stream_ref *found = NULL;
    for (size_t i = 0; i < LATE_ROOMS; i++)
        if (late()->watched[i])
            found = late()->watched[i];
    assert_non_null(found);
    return found;
}

static void lose(int n, const struct stream_limits *limits)
{
    late()->losing = true;
    publish_many('a', n, limits);
    run_all();
    buf_clear(&hubs[3].log);
    late_tell_lost(late(), watched());
    loop_again(&seq_loop); /* as in any callback of the loop: its turn follows */
    run_all();
}

static void every_hub_with_the_room_is_told_once_and_goes_on_from_the_top(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    struct fake_sub *v = subscribe(session_new(&hubs[2], "v"), 'a', &plain);
    run_all();
    publish_many('a', 2, &ring);
    run_all();
    assert_heard(&hubs[1], "+u@0 a:1 a:2");
    lose(3, &ring);
    assert_int_equal(u->state, SUB_TOLD);
    assert_int_equal(v->state, SUB_TOLD);
    assert_heard(&hubs[1], "lost:a");
    assert_int_equal(hubs[0].log.n, 0);
    struct fake_sub *w = subscribe(session_new(&hubs[1], "w"), 'a', &plain);
    publish_many('a', 2, &ring);
    run_all();
    assert_int_equal(w->at.offset, 7);
    assert_heard(&hubs[1], "+w@5 a:6 a:7");
    assert_int_equal(sequencer_counters(seq)->insufficient, 2);
}

static void a_loss_without_a_stream_is_told_too(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &streamless);
    run_all();
    lose(1, &none);
    assert_int_equal(u->state, SUB_TOLD);
}

static void a_loss_on_the_way_of_a_hub_that_is_behind_is_told_not_filled(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    run_all();
    publish_many('a', 40, &ring); /* more than a hub may have waiting */
    late()->losing = true;
    publish_many('a', 1, &ring);
    late_tell_lost(late(), watched());
    loop_again(&seq_loop); /* as in any callback of the loop: its turn follows */
    run_all();
    assert_int_equal(u->state, SUB_TOLD);
    struct fake_sub *v = subscribe(session_new(&hubs[1], "v"), 'a', &plain);
    publish_many('a', 1, &ring);
    run_all();
    assert_int_equal(v->at.offset, 42);
}

static void a_room_is_watched_from_the_first_subscribe_to_the_last_leave(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    struct fake_sub *v = subscribe(session_new(&hubs[2], "v"), 'a', &plain);
    seq_run();
    assert_true(span_eq(watched()->name, SPAN("a")));
    unsubscribe(u);
    run_all();
    assert_true(span_eq(watched()->name, SPAN("a")));
    unsubscribe(v);
    run_all();
    for (size_t i = 0; i < LATE_ROOMS; i++)
        assert_null(late()->watched[i]);
    uint64_t heard = sequencer_counters(seq)->publications;
    publish_many('a', 1, &ring);
    assert_int_equal(sequencer_counters(seq)->publications, heard);
    assert_int_equal(sequencer_counters(seq)->commits, 1);
}

/* Others may have published while nobody here was in the room. */
static void a_room_that_was_left_goes_on_from_where_it_is_when_somebody_comes(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    publish_many('a', 2, &ring);
    run_all();
    unsubscribe(u);
    run_all();
    publish_many('a', 5, &ring);
    struct fake_sub *v = subscribe(session_new(&hubs[1], "v"), 'a', &plain);
    run_all();
    assert_int_equal(v->at.offset, 7);
    publish_many('a', 40, &ring); /* behind, and filled from there */
    run_all();
    assert_int_equal(v->at.offset, 47);
    assert_int_equal(v->state, SUB_ACTIVE);
}

#define LATE(f) cmocka_unit_test_setup_teardown(f, start_late, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        LATE(every_hub_with_the_room_is_told_once_and_goes_on_from_the_top),
        LATE(a_loss_without_a_stream_is_told_too),
        LATE(a_loss_on_the_way_of_a_hub_that_is_behind_is_told_not_filled),
        LATE(a_room_is_watched_from_the_first_subscribe_to_the_last_leave),
        LATE(a_room_that_was_left_goes_on_from_where_it_is_when_somebody_comes),
    };
    map_seed();
    return cmocka_run_group_tests_name("sequencer lost", tests, NULL, NULL);
}
