/* SPDX-License-Identifier: MIT */
#include "backplane/base/wheel.h"

#include "backplane/base/list.h" /* container_of */

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TICK       50
#define REVOLUTION ((uint64_t)TICK * WHEEL_SLOTS)

static struct wheel wheel;

struct alarm {
    struct timer timer;
    uint64_t deadline, fired_at; /* by wheel.now; 0: not fired */
    int count;
};

static void ring(struct timer *t)
{
    struct alarm *a = container_of(t, struct alarm, timer);

    assert_false(timer_armed(t));
    a->fired_at = wheel.now;
    a->count++;
}

static void set(struct alarm *a, uint64_t delay)
{
    a->deadline = wheel.now + delay;
    a->fired_at = 0;
    wheel_arm(&wheel, &a->timer, delay, ring);
}

static int start(void **state)
{
    (void)state;
    wheel_init(&wheel, 1000003, TICK); /* not on a tick */
    return 0;
}

static void a_timer_fires_once_and_at_most_one_tick_late(void **state)
{
    static const uint64_t delays[] = {0,
                                      1,
                                      49,
                                      50,
                                      51,
                                      1000,
                                      REVOLUTION - 50,
                                      REVOLUTION - 1,
                                      REVOLUTION,
                                      REVOLUTION + 1,
                                      REVOLUTION + 50,
                                      3 * REVOLUTION + 7};
    struct alarm alarms[sizeof(delays) / sizeof(delays[0])] = {0};
    const size_t n = sizeof(delays) / sizeof(delays[0]);

    (void)state;
    for (size_t i = 0; i < n; i++)
        set(&alarms[i], delays[i]);
    assert_int_equal(wheel.armed, n);
    for (uint64_t now = wheel.now; now < 1000003 + 4 * REVOLUTION; now++)
        wheel_turn(&wheel, now);
    assert_int_equal(wheel.armed, 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(alarms[i].count, 1);
        assert_in_range(alarms[i].fired_at, alarms[i].deadline, alarms[i].deadline + TICK);
    }
}

static void no_timer_fires_inside_the_call_that_arms_it(void **state)
{
    struct alarm a = {0};

    (void)state;
    set(&a, 0);
    assert_int_equal(a.count, 0);
    wheel_turn(&wheel, wheel.now); /* no time has passed */
    assert_int_equal(a.count, 0);
    wheel_turn(&wheel, wheel.now + TICK);
    assert_int_equal(a.count, 1);
}

static void arming_again_moves_the_deadline(void **state)
{
    struct alarm a = {0};

    (void)state;
    set(&a, 100);
    set(&a, 1000);
    assert_int_equal(wheel.armed, 1);
    wheel_turn(&wheel, wheel.now + 500);
    assert_int_equal(a.count, 0);
    set(&a, 100);
    wheel_turn(&wheel, wheel.now + 100 + TICK);
    assert_int_equal(a.count, 1);
    wheel_turn(&wheel, wheel.now + 5000);
    assert_int_equal(a.count, 1);
}

static void a_cancelled_timer_does_not_fire(void **state)
{
    struct alarm a = {0}, b = {0}, c = {0};

    (void)state;
    set(&a, 100);
    set(&b, 100);
    set(&c, 100);
    wheel_cancel(&wheel, &b.timer);
    wheel_cancel(&wheel, &b.timer);
    assert_int_equal(wheel.armed, 2);
    wheel_turn(&wheel, wheel.now + 1000);
    assert_int_equal(a.count, 1);
    assert_int_equal(b.count, 0);
    assert_int_equal(c.count, 1);
    wheel_cancel(&wheel, &a.timer); /* it has fired */
    assert_int_equal(wheel.armed, 0);
}

static void a_long_sleep_fires_all_that_is_due_and_nothing_else(void **state)
{
    static struct alarm alarms[2000];

    (void)state;
    memset(alarms, 0, sizeof(alarms));
    for (size_t i = 0; i < 2000; i++)
        set(&alarms[i], i * 1000); /* up to 39 revolutions */
    uint64_t now = wheel.now + 20 * REVOLUTION;
    wheel_turn(&wheel, now);
    for (size_t i = 0; i < 2000; i++) {
        bool due = alarms[i].deadline + TICK <= now;
        if (due || alarms[i].deadline > now)
            assert_int_equal(alarms[i].count, due);
    }
    wheel_turn(&wheel, now + 50 * REVOLUTION);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(alarms[i].count, 1);
    assert_int_equal(wheel.armed, 0);
}

static void time_that_runs_backwards_is_ignored(void **state)
{
    struct alarm a = {0};
    uint64_t now = wheel.now;

    (void)state;
    set(&a, 100);
    wheel_turn(&wheel, now - 500);
    assert_int_equal(wheel.now, now);
    wheel_turn(&wheel, now + 99);
    assert_int_equal(a.count, 0);
    wheel_turn(&wheel, now + 150);
    assert_int_equal(a.count, 1);
}

static void a_delay_beyond_all_time_waits_for_ever(void **state)
{
    static const uint64_t delays[] = {UINT64_MAX, UINT64_MAX - 1000003, UINT64_MAX - 1000003 - TICK,
                                      UINT64_MAX / 2};

    (void)state;
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        struct alarm a = {0};
        set(&a, delays[i]);
        assert_true(a.timer.due >= UINT64_MAX / 2);
        wheel_turn(&wheel, wheel.now + 100 * REVOLUTION);
        assert_int_equal(a.count, 0);
        wheel_cancel(&wheel, &a.timer);
    }
}

/* What callbacks do to others: the group is due in one turn. */
static struct alarm group[8];

static void ring_and_cancel_the_rest(struct timer *t)
{
    ring(t);
    for (size_t i = 0; i < 8; i++)
        wheel_cancel(&wheel, &group[i].timer);
}

static void a_callback_may_cancel_others_that_are_due_too(void **state)
{
    int fired = 0;

    (void)state;
    for (uint64_t spread = 0; spread < 2; spread++) { /* in one slot, or in several */
        memset(group, 0, sizeof(group));
        fired = 0;
        for (size_t i = 0; i < 8; i++)
            wheel_arm(&wheel, &group[i].timer, 100 + i * spread * TICK, ring_and_cancel_the_rest);
        wheel_turn(&wheel, wheel.now + 1000);
        for (size_t i = 0; i < 8; i++)
            fired += group[i].count;
        assert_int_equal(fired, 1);
        assert_int_equal(wheel.armed, 0);
    }
}

static void ring_and_arm_the_rest_again(struct timer *t)
{
    ring(t);
    for (size_t i = 0; i < 8; i++)
        if (&group[i].timer != t)
            wheel_arm(&wheel, &group[i].timer, 0, ring);
}

static void a_callback_may_arm_others_again_and_they_fire_in_a_later_turn(void **state)
{
    int fired = 0;

    (void)state;
    memset(group, 0, sizeof(group));
    for (size_t i = 0; i < 8; i++)
        wheel_arm(&wheel, &group[i].timer, 100, ring_and_arm_the_rest_again);
    wheel_turn(&wheel, wheel.now + 1000);
    for (size_t i = 0; i < 8; i++)
        fired += group[i].count;
    assert_int_equal(fired, 1);
    assert_int_equal(wheel.armed, 7);
    wheel_turn(&wheel, wheel.now + 2 * TICK);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(group[i].count, 1);
}

static void ring_again_and_again(struct timer *t)
{
    ring(t);
    wheel_arm(&wheel, t, 0, ring_again_and_again);
}

static void a_timer_that_arms_itself_fires_once_a_turn(void **state)
{
    struct alarm a = {0};

    (void)state;
    wheel_arm(&wheel, &a.timer, 0, ring_again_and_again);
    for (int turn = 1; turn <= 10; turn++) {
        wheel_turn(&wheel, wheel.now + 10 * TICK);
        assert_int_equal(a.count, turn);
    }
    wheel_cancel(&wheel, &a.timer);
}

static struct alarm *heap[4];

static void free_all(struct timer *t)
{
    (void)t;
    for (size_t i = 0; i < 4; i++) {
        wheel_cancel(&wheel, &heap[i]->timer);
        free(heap[i]);
    }
}

static void a_callback_may_free_itself_and_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        heap[i] = calloc(1, sizeof(*heap[i]));
        assert_non_null(heap[i]);
        wheel_arm(&wheel, &heap[i]->timer, 100, free_all);
    }
    wheel_turn(&wheel, wheel.now + 1000);
    assert_int_equal(wheel.armed, 0);
}

static uint32_t dice(uint32_t sides)
{
    static uint32_t x = 2463534242; /* xorshift, always the same walk */

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x % sides;
}

static void a_random_walk_agrees_with_a_plain_list_of_deadlines(void **state)
{
    static struct alarm alarms[200];
    static uint64_t due[200]; /* 0: not armed */
    size_t armed = 0;

    (void)state;
    memset(alarms, 0, sizeof(alarms));
    memset(due, 0, sizeof(due));
    for (int step = 0; step < 20000; step++) {
        for (uint32_t k = dice(10); k > 0; k--) {
            size_t i = dice(200);
            uint64_t delay = dice(4) ? dice(2000) : dice(3 * (uint32_t)REVOLUTION);
            armed += due[i] == 0;
            set(&alarms[i], delay);
            due[i] = wheel.now + delay;
        }
        size_t victim = dice(200);
        armed -= due[victim] != 0;
        wheel_cancel(&wheel, &alarms[victim].timer);
        due[victim] = 0;
        wheel_turn(&wheel, wheel.now + (dice(100) ? dice(200) : dice(2 * (uint32_t)REVOLUTION)));
        for (size_t i = 0; i < 200; i++) {
            if (due[i] && due[i] + TICK <= wheel.now)
                assert_int_not_equal(alarms[i].fired_at, 0);
            if (due[i] == 0 || alarms[i].fired_at == 0)
                continue;
            assert_true(alarms[i].fired_at >= due[i]);
            due[i] = 0;
            armed--;
        }
        assert_int_equal(wheel.armed, armed);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, start)
    const struct CMUnitTest tests[] = {
        TEST(a_timer_fires_once_and_at_most_one_tick_late),
        TEST(no_timer_fires_inside_the_call_that_arms_it),
        TEST(arming_again_moves_the_deadline),
        TEST(a_cancelled_timer_does_not_fire),
        TEST(a_long_sleep_fires_all_that_is_due_and_nothing_else),
        TEST(time_that_runs_backwards_is_ignored),
        TEST(a_delay_beyond_all_time_waits_for_ever),
        TEST(a_callback_may_cancel_others_that_are_due_too),
        TEST(a_callback_may_arm_others_again_and_they_fire_in_a_later_turn),
        TEST(a_timer_that_arms_itself_fires_once_a_turn),
        TEST(a_callback_may_free_itself_and_others),
        TEST(a_random_walk_agrees_with_a_plain_list_of_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
