/* SPDX-License-Identifier: MIT */
/* Turns that are asked for ahead. Nothing else wakes these loops: a turn that does not come ends
 * the test by its alarm. */
#include "backplane/base/loop.h"

#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/loop_kit.h"

#define FAR 600000 /* ms; the alarm comes first */

static int turns;

static int start(void **state)
{
    turns = 0;
    alarm(60);
    if (loop_set_up(state) != 0)
        return -1;
    return uv_timer_stop(&loop.beat);
}

static void run_with(bool (*turn)(struct actor *))
{
    struct actor a = {.turn = turn};

    loop_add(&loop, &a);
    loop_wake(&loop);
    loop_run(&loop);
}

static bool ask_twice(struct actor *a)
{
    (void)a;
    turns++;
    if (turns == 2)
        loop_soon(&loop, FAR);
    if (turns <= 2)
        loop_soon(&loop, 20);
    if (turns == 1)
        loop_soon(&loop, FAR);
    if (turns == 3)
        loop_stop(&loop);
    return false;
}

static void the_sooner_one_stands(void **state)
{
    (void)state;
    run_with(ask_twice);
    assert_int_equal(turns, 3); /* it slept meanwhile */
}

static bool dawdle(struct actor *a)
{
    (void)a;
    turns++;
    if (turns == 2)
        loop_stop(&loop);
    loop_soon(&loop, 2);
    usleep(5000);
    return false;
}

static void it_comes_though_this_turn_takes_longer(void **state)
{
    (void)state;
    run_with(dawdle);
    assert_int_equal(turns, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_sooner_one_stands, start, loop_tear_down),
        cmocka_unit_test_setup_teardown(it_comes_though_this_turn_takes_longer, start,
                                        loop_tear_down),
    };

    return cmocka_run_group_tests_name("loop soon", tests, NULL, NULL);
}
