/* SPDX-License-Identifier: MIT */
#include "gateway/crowd.h"

#include "backplane/base/map.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct address from(const char *text)
{
    struct address a;

    assert_true(address_read(span_str(text), &a));
    return a;
}

static void one_address_has_so_many_and_others_as_many(void **state)
{
    struct crowd *c = crowd_new(), *in[3], *more;
    struct address a = from("2001:db8::1"), same = from("2001:db8::2"), other = from("2001:db9::1");

    (void)state;
    assert_true(crowd_enter(c, &a, 2, &in[0]));
    assert_true(crowd_enter(c, &same, 2, &in[1]));
    assert_false(crowd_enter(c, &a, 2, &more));
    assert_null(more);
    assert_true(crowd_enter(c, &other, 2, &in[2]));

    crowd_leave(&in[0], &a);
    crowd_leave(&in[0], &a); /* leaves once */
    assert_true(crowd_enter(c, &a, 2, &in[0]));
    assert_false(crowd_enter(c, &a, 2, &more));
    for (size_t i = 0; i < 3; i++)
        crowd_leave(&in[i], i == 2 ? &other : &a);
    crowd_free(c); /* asserts that nobody is left */
}

static void a_lower_bound_lets_nobody_new_in_and_nobody_is_lost(void **state)
{
    struct crowd *c = crowd_new(), *in[3], *more;
    struct address a = from("192.0.2.1");

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_true(crowd_enter(c, &a, 3, &in[i]));
    assert_false(crowd_enter(c, &a, 1, &more));
    for (size_t i = 0; i < 3; i++)
        crowd_leave(&in[i], &a);
    assert_true(crowd_enter(c, &a, 1, &more));
    crowd_leave(&more, &a);
    crowd_free(c);
}

static void some_are_not_counted(void **state)
{
    struct crowd *c = crowd_new(), *in;
    struct address nobody = {0}, v4 = from("127.0.0.1"), v6 = from("::1"), any = from("192.0.2.1");

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(crowd_enter(c, &nobody, 1, &in) && !in);
        assert_true(crowd_enter(c, &v4, 1, &in) && !in);
        assert_true(crowd_enter(c, &v6, 1, &in) && !in);
        assert_true(crowd_enter(c, &any, 0, &in) && !in);
        crowd_leave(&in, &any);
    }
    crowd_free(c);
}

#define ROUNDS 20000

static void *come_and_go(void *crowd)
{
    struct address a = from("192.0.2.1");
    struct crowd *in;

    for (int i = 0; i < ROUNDS; i++)
        if (crowd_enter(crowd, &a, 2, &in))
            crowd_leave(&in, &a);
    return NULL;
}

static void threads_may_come_and_go_at_once(void **state)
{
    struct crowd *c = crowd_new();
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, c), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    crowd_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_address_has_so_many_and_others_as_many),
        cmocka_unit_test(a_lower_bound_lets_nobody_new_in_and_nobody_is_lost),
        cmocka_unit_test(some_are_not_counted),
        cmocka_unit_test(threads_may_come_and_go_at_once),
    };
    map_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
