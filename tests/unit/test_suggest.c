/* SPDX-License-Identifier: MIT */
#include "backplane/base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const KNOWN[] = {"listen", "hubs",       "auth",
                                    "store",  "queue-time", "hub-queue-bytes"};

/* The suggestion for a name, "" for none. */
static const char *suggestion(const char *wanted)
{
    static struct suggest s;
    suggest_init(&s, wanted);
    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++)
        suggest_offer(&s, KNOWN[i]);
    const char *best = suggest_best(&s);
    return best ? best : "";
}

static void a_slip_of_the_finger_is_found(void **state)
{
    (void)state;
    assert_string_equal(suggestion("lisen"), "listen");
    assert_string_equal(suggestion("lisetn"), "listen");
    assert_string_equal(suggestion("listenn"), "listen");
    assert_string_equal(suggestion("hbus"), "hubs");
    assert_string_equal(suggestion("queue_time"), "queue-time");
}

static void a_swap_is_one_slip(void **state)
{
    struct suggest s;
    (void)state;
    suggest_init(&s, "sotre");
    suggest_offer(&s, "store");
    assert_int_equal(s.distance, 1);
    suggest_init(&s, "stroe_");
    suggest_offer(&s, "store");
    assert_int_equal(s.distance, 2);
}

static void a_missing_or_extra_first_part_is_found(void **state)
{
    (void)state;
    assert_string_equal(suggestion("queue-bytes"), "hub-queue-bytes");
    assert_string_equal(suggestion("gateway-auth"), "auth");
}

static void what_is_far_off_gets_no_suggestion(void **state)
{
    (void)state;
    assert_string_equal(suggestion("api-key"), "");
    assert_string_equal(suggestion("jwt-hmac-secret"), "");
    assert_string_equal(suggestion("x"), "");
    assert_string_equal(suggestion(""), "");
}

static void names_of_any_length_are_safe(void **state)
{
    char longest[SUGGEST_NAME_MAX + 1];
    struct suggest s;
    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[SUGGEST_NAME_MAX] = '\0';
    suggest_init(&s, longest);
    suggest_offer(&s, longest);
    assert_null(suggest_best(&s));
    suggest_init(&s, longest + 1);
    suggest_offer(&s, longest);
    assert_null(suggest_best(&s));
    longest[SUGGEST_NAME_MAX - 1] = '\0';
    suggest_init(&s, longest);
    suggest_offer(&s, longest);
    assert_string_equal(suggest_best(&s), longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_of_the_finger_is_found),
        cmocka_unit_test(a_swap_is_one_slip),
        cmocka_unit_test(a_missing_or_extra_first_part_is_found),
        cmocka_unit_test(what_is_far_off_gets_no_suggestion),
        cmocka_unit_test(names_of_any_length_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
