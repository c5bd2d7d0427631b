/* SPDX-License-Identifier: MIT */
#include "backplane/pace.h"

#include "backplane/base/map.h"
#include "tests/unit/core_kit.h"

static struct pace pace;

static int start(void **state)
{
    (void)state;
    pace_init(&pace, 3);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    pace_deinit(&pace);
    assert_int_equal(pace.count, 0);
    assert_int_equal(pace.remembered, 0);
    return 0;
}

static uint64_t take(const char *room, const char *who, uint64_t now)
{
    return pace_take(&pace, span_str(room), span_str(who), now);
}

static void everybody_may_speak_once_per_interval(void **state)
{
    (void)state;
    assert_int_equal(pace_set(&pace, SPAN("r"), 1000), OK);
    assert_int_equal(take("r", "a", 5000), 0);
    assert_int_equal(take("r", "a", 5000), 1000);
    assert_int_equal(take("r", "a", 5999), 1); /* asking costs nothing */
    assert_int_equal(take("r", "b", 5999), 0);
    assert_int_equal(take("r", "a", 6000), 0);
    assert_int_equal(take("r", "a", 6000), 1000);
    assert_int_equal(take("s", "a", 6000), 0);
    assert_int_equal(take("s", "a", 6000), 0);
}

static void the_interval_may_change_and_end(void **state)
{
    (void)state;
    assert_int_equal(pace_of(&pace, SPAN("r")), 0);
    pace_set(&pace, SPAN("r"), 60000);
    assert_int_equal(pace_of(&pace, SPAN("r")), 60000);
    assert_int_equal(take("r", "a", 1000), 0);
    pace_set(&pace, SPAN("r"), 100);
    assert_in_range(take("r", "a", 1000), 1, 100 * 2); /* the longer time does not last */
    pace_set(&pace, SPAN("r"), 0);
    assert_int_equal(pace_of(&pace, SPAN("r")), 0);
    assert_int_equal(pace.remembered, 0);
    assert_int_equal(take("r", "a", 1000), 0);
    assert_int_equal(take("r", "a", 1000), 0);
    pace_set(&pace, SPAN("r"), 0); /* harmless */
}

static void rooms_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(pace_set(&pace, SPAN("a"), 1), OK);
    assert_int_equal(pace_set(&pace, SPAN("b"), 1), OK);
    assert_int_equal(pace_set(&pace, SPAN("c"), 1), OK);
    assert_int_equal(pace_set(&pace, SPAN("d"), 1), ERR_LIMIT);
    assert_int_equal(pace_set(&pace, SPAN("a"), 2), OK);
    assert_int_equal(pace_set(&pace, SPAN("a"), 0), OK);
    assert_int_equal(pace_set(&pace, SPAN("d"), 1), OK);
}

static void who_may_speak_again_is_forgotten(void **state)
{
    (void)state;
    pace_set(&pace, SPAN("r"), 100);
    take("r", "a", 1000);
    take("r", "b", 1050);
    pace_expire(&pace, 1099);
    assert_int_equal(pace.remembered, 2);
    pace_expire(&pace, 1100);
    assert_int_equal(pace.remembered, 1);
    assert_int_equal(take("r", "b", 1100), 50);
    take("r", "a", 1100);
    take("r", "b", 1150); /* stands behind a now */
    pace_expire(&pace, 1200);
    assert_int_equal(pace.remembered, 1);
    assert_int_equal(take("r", "b", 1200), 50);
}

static void of_too_many_the_longest_silent_is_forgotten_first(void **state)
{
    (void)state;
    char name[16];
    pace_set(&pace, SPAN("r"), 1000);
    for (int i = 0; i < PACE_SPEAKERS; i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(take("r", name, 0), 0);
    }
    assert_int_equal(take("r", "0", 0), 1000);
    assert_int_equal(take("r", "one more", 0), 0);
    assert_int_equal(pace.remembered, PACE_SPEAKERS);
    assert_int_equal(take("r", "1", 0), 1000);
    assert_int_equal(take("r", "0", 0), 0); /* it was the oldest; now 1 is gone */
    assert_int_equal(take("r", "2", 0), 1000);
    assert_int_equal(take("r", "1", 0), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(everybody_may_speak_once_per_interval),
        TEST(the_interval_may_change_and_end),
        TEST(rooms_are_bounded),
        TEST(who_may_speak_again_is_forgotten),
        TEST(of_too_many_the_longest_silent_is_forgotten_first),
    };
    map_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
