/* SPDX-License-Identifier: MIT */
/* How a loop ends: what it waits for and what it reports. */
#include "backplane/base/loop.h"

#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct loop loop;

static void a_handle_that_was_left_open_is_reported_and_the_loop_can_still_end(void **state)
{
    uv_timer_t forgotten;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    uv_timer_init(&loop.uv, &forgotten);
    assert_int_equal(loop_deinit(&loop), UV_EBUSY);
    uv_close((uv_handle_t *)&forgotten, NULL);
    assert_int_equal(loop_deinit(&loop), 0);
}

static int closed;

static void count_closed(uv_handle_t *h)
{
    (void)h;
    closed++;
}

static void close_next(uv_handle_t *h)
{
    closed++;
    uv_close(h->data, count_closed);
}

/* A loop with two handles, of which one is closed when the other has been. */
static void begin_closing(uv_timer_t *first, uv_timer_t *second)
{
    closed = 0;
    assert_int_equal(loop_init(&loop), 0);
    uv_timer_init(&loop.uv, first);
    uv_timer_init(&loop.uv, second);
    first->data = second;
    uv_close((uv_handle_t *)first, close_next);
}

static void closing_handles_and_those_that_they_close_are_waited_for(void **state)
{
    uv_timer_t first, second;

    (void)state;
    begin_closing(&first, &second);
    assert_int_equal(loop_deinit(&loop), 0);
    assert_int_equal(closed, 2);
}

static void closing_handles_can_be_waited_for_before_the_end(void **state)
{
    uv_timer_t first, second;

    (void)state;
    begin_closing(&first, &second);
    loop_settle(&loop);
    assert_int_equal(closed, 2);
    loop_settle(&loop); /* nothing to wait for */
    assert_int_equal(loop_deinit(&loop), 0);
}

static void a_loop_leaves_no_descriptor_behind(void **state)
{
    int before = dup(STDIN_FILENO);

    (void)state;
    assert_int_equal(close(before), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(loop_init(&loop), 0);
        assert_int_equal(loop_deinit(&loop), 0);
    }
    int after = dup(STDIN_FILENO);
    assert_int_equal(close(after), 0);
    assert_int_equal(before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_that_was_left_open_is_reported_and_the_loop_can_still_end),
        cmocka_unit_test(closing_handles_and_those_that_they_close_are_waited_for),
        cmocka_unit_test(closing_handles_can_be_waited_for_before_the_end),
        cmocka_unit_test(a_loop_leaves_no_descriptor_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
