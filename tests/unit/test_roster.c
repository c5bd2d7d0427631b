/* SPDX-License-Identifier: MIT */
#include "backplane/roster.h"

#include "backplane/base/buf.h"
#include "tests/unit/core_kit.h"

static struct roster *roster;
static struct buf told;

static int start(void **state)
{
    (void)state;
    roster = roster_new();
    assert_non_null(roster);
    buf_clear(&told);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    roster_free(roster);
    buf_deinit(&told);
    return 0;
}

static void tell(void *owner, struct span info, bool came)
{
    assert_ptr_equal(owner, &told);
    buf_char(&told, came ? '+' : '-');
    buf_span(&told, info);
}

static void put(const char *id)
{
    assert_true(roster_put(roster, span_str(id), span_str(id), false));
}

static void take(const char *id)
{
    assert_true(roster_take(roster, span_str(id)));
}

/* Reads "a b c" and says what was told. */
static void read_shows(const char *who, const char *expected)
{
    struct span list[32];
    size_t n = 0;
    for (const char *p = who; *p; p++)
        for (int twice = 0; twice < 2; twice++)
            list[n++] = (struct span){p, 1};
    buf_clear(&told);
    assert_true(roster_read(roster, list, n, tell, &told));
    assert_int_equal(told.n, strlen(expected));
    for (size_t i = 0; i < told.n; i += 2) { /* in any order */
        const char *at = expected;
        while ((at = strchr(at, told.p[i + 1])) && at[-1] != told.p[i])
            at++;
        assert_non_null(at);
    }
}

static void what_is_known_is_not_told(void **state)
{
    (void)state;
    put("a");
    put("b");
    put("b");
    assert_int_equal(roster_count(roster), 2);
    roster_read_begun(roster);
    read_shows("ab", "");
}

static void what_was_missed_is_told(void **state)
{
    (void)state;
    put("a");
    put("b");
    roster_read_begun(roster);
    read_shows("bcd", "-a+c+d");
    assert_int_equal(roster_count(roster), 3);
    roster_read_begun(roster);
    read_shows("bcd", "");
}

static void what_is_heard_during_a_read_is_newer_than_it(void **state)
{
    (void)state;
    put("a");
    put("b");
    roster_read_begun(roster);
    put("c");
    take("a");
    take("d");
    read_shows("abd", "");
    assert_int_equal(roster_count(roster), 2);
    roster_read_begun(roster);
    read_shows("bc", "");
}

static void who_comes_again_during_a_read_is_here(void **state)
{
    (void)state;
    put("a");
    roster_read_begun(roster);
    take("a");
    put("a");
    read_shows("", "");
    assert_int_equal(roster_count(roster), 1);
}

static void ones_own_are_known_better(void **state)
{
    (void)state;
    assert_true(roster_put(roster, SPAN("o"), SPAN("o"), true));
    roster_read_begun(roster);
    read_shows("", "");
    assert_int_equal(roster_count(roster), 1);
    take("o");
    assert_int_equal(roster_count(roster), 0);
}

static void a_read_that_fails_changes_nothing(void **state)
{
    (void)state;
    put("a");
    put("b");
    roster_read_begun(roster);
    take("b");
    roster_read_failed(roster);
    assert_int_equal(roster_count(roster), 1);
    roster_read_begun(roster);
    read_shows("ab", "+b");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_known_is_not_told, start, stop),
        cmocka_unit_test_setup_teardown(what_was_missed_is_told, start, stop),
        cmocka_unit_test_setup_teardown(what_is_heard_during_a_read_is_newer_than_it, start, stop),
        cmocka_unit_test_setup_teardown(who_comes_again_during_a_read_is_here, start, stop),
        cmocka_unit_test_setup_teardown(ones_own_are_known_better, start, stop),
        cmocka_unit_test_setup_teardown(a_read_that_fails_changes_nothing, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
