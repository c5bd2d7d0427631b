/* SPDX-License-Identifier: MIT */
#include "backplane/recent.h"

#include "backplane/base/map.h"
#include "tests/unit/core_kit.h"

static void add(struct recent *r, uint64_t key, uint64_t offset, uint64_t until)
{
    uint64_t id[2] = {key, ~key};
    struct position *at = recent_add(r, id, until);
    assert_non_null(at);
    at->offset = offset;
}

/* 0: not there. */
static uint64_t find(struct recent *r, uint64_t key, uint64_t now)
{
    uint64_t id[2] = {key, ~key};
    const struct position *at = recent_find(r, id, now);
    return at ? at->offset : 0;
}

static void keys_are_found_until_their_time_is_over(void **state)
{
    (void)state;
    struct recent r;
    recent_init(&r);
    add(&r, 1, 10, 100);
    add(&r, 2, 20, 200);
    assert_int_equal(find(&r, 1, 99), 10);
    assert_int_equal(find(&r, 3, 99), 0);
    assert_int_equal(find(&r, 1, 100), 0);
    assert_int_equal(find(&r, 2, 199), 20);
    assert_int_equal(r.count, 1);
    recent_expire(&r, 200);
    assert_int_equal(r.count, 0);
    recent_deinit(&r);
}

/* Jobs are remembered for a day, calls for minutes; either may come before the other. */
static void a_key_is_over_in_its_time_whatever_else_is_remembered(void **state)
{
    (void)state;
    struct recent r;
    recent_init(&r);
    add(&r, 1, 10, 1000);
    add(&r, 2, 20, 100);
    add(&r, 3, 30, 1001);
    add(&r, 4, 40, 101);
    assert_int_equal(find(&r, 2, 99), 20);
    assert_int_equal(find(&r, 2, 100), 0);
    assert_int_equal(r.count, 3);
    recent_expire(&r, 101);
    assert_int_equal(r.count, 2);
    add(&r, 4, 41, 201);
    assert_int_equal(find(&r, 4, 200), 41);
    assert_int_equal(find(&r, 1, 999), 10);
    assert_int_equal(find(&r, 3, 1000), 30);
    assert_int_equal(r.count, 1);
    recent_deinit(&r);
}

/* Three spans: what is over is not found even where it stands behind what is not. */
static void what_is_over_is_not_found_behind_what_is_not(void **state)
{
    (void)state;
    struct recent r;
    recent_init(&r);
    add(&r, 1, 10, 1000);
    add(&r, 2, 20, 500);
    add(&r, 3, 30, 100);
    assert_int_equal(find(&r, 3, 100), 0);
    add(&r, 3, 31, 200);
    assert_int_equal(find(&r, 3, 199), 31);
    assert_int_equal(r.count, 3);
    recent_take_back(&r);
    assert_int_equal(find(&r, 3, 199), 0);
    assert_int_equal(find(&r, 2, 499), 20);
    recent_deinit(&r);
}

static void the_last_one_can_be_taken_back(void **state)
{
    (void)state;
    struct recent r;
    recent_init(&r);
    add(&r, 1, 10, 100);
    add(&r, 2, 20, 100);
    recent_take_back(&r);
    assert_int_equal(find(&r, 1, 0), 10);
    assert_int_equal(find(&r, 2, 0), 0);
    recent_deinit(&r);
}

static void past_the_bound_the_oldest_goes(void **state)
{
    (void)state;
    struct recent r;
    recent_init(&r);
    for (uint64_t i = 1; i <= RECENT_MAX + 2; i++)
        add(&r, i, i, UINT64_MAX);
    assert_int_equal(r.count, RECENT_MAX);
    assert_int_equal(find(&r, 2, 0), 0);
    assert_int_equal(find(&r, 3, 0), 3);
    assert_int_equal(find(&r, RECENT_MAX + 2, 0), RECENT_MAX + 2);
    add(&r, RECENT_MAX + 3, 7, 5); /* the oldest goes, not who ends first */
    add(&r, RECENT_MAX + 4, 8, 5);
    assert_int_equal(r.count, RECENT_MAX);
    assert_int_equal(find(&r, 3, 0), 0);
    assert_int_equal(find(&r, 4, 0), 0);
    assert_int_equal(find(&r, RECENT_MAX + 3, 0), 7);
    recent_deinit(&r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_until_their_time_is_over),
        cmocka_unit_test(a_key_is_over_in_its_time_whatever_else_is_remembered),
        cmocka_unit_test(what_is_over_is_not_found_behind_what_is_not),
        cmocka_unit_test(the_last_one_can_be_taken_back),
        cmocka_unit_test(past_the_bound_the_oldest_goes),
    };
    map_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
