/* SPDX-License-Identifier: MIT */
#include "backplane/base/glob.h"

#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void patterns_match_what_they_should(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } table[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"a", "b", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"*", "", true},
        {"*", "anything", true},
        {"**", "x", true},
        {"chat:*", "chat:", true},
        {"chat:*", "chat:a", true},
        {"chat:*", "news:a", false},
        {"*:a", "chat:a", true},
        {"*:a", "chat:ab", false},
        {"a*b*c", "abc", true},
        {"a*b*c", "axxbyybzc", true},
        {"a*b*c", "axxbyybz", false},
        {"*aab", "aaaab", true},
        {"?", "", false},
        {"?", "a", true},
        {"?", "ab", false},
        {"?", "마", true},
        {"??", "마당", true},
        {"?", "마당", false},
        {"*당", "마당", true},
        {"a?c", "abc", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"\\?", "?", true},
        {"\\\\", "\\", true},
        {"a\\", "a\\", true},
        {"[a]", "[a]", true},
        {"*?", "", false},
        {"*?", "x", true},
        {"?*", "xy", true},
        {"*a?", "xaay", true},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (glob_matches(span_str(table[i].pattern), span_str(table[i].name)) != table[i].matches)
            fail_msg("'%s' and '%s'", table[i].pattern, table[i].name);
}

/* The worst pattern over the longest name ends in no time. */
static void time_is_bounded(void **state)
{
    (void)state;
    char pattern[2001], name[4001];
    for (size_t i = 0; i < 2000; i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = 'a';
    }
    pattern[1999] = 'b';
    memset(name, 'a', 4000);
    clock_t begin = clock();
    assert_false(glob_matches((struct span){pattern, 2000}, (struct span){name, 4000}));
    assert_true(clock() - begin < 2 * CLOCKS_PER_SEC);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_what_they_should),
        cmocka_unit_test(time_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
