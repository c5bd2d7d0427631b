/* SPDX-License-Identifier: MIT */
#include "backplane/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void every_error_has_the_number_text_and_flag_of_the_protocol(void **state)
{
    (void)state;
    assert_int_equal(OK, 0);
    assert_int_equal(ERR_INTERNAL, 100);
    assert_int_equal(ERR_UNRECOVERABLE, 112);
    assert_string_equal(err_text(OK), "ok");
    assert_false(err_temporary(OK));
#define CHECK(sym, code, text, temporary)                                                          \
    assert_int_equal(sym, code);                                                                   \
    assert_string_equal(err_text(sym), text);                                                      \
    assert_int_equal(err_temporary(sym), temporary);
    ERR_LIST(CHECK)
#undef CHECK
}

static void only_internal_error_and_too_many_requests_are_temporary(void **state)
{
    (void)state;
    for (int e = 0; e < 200; e++)
        assert_int_equal(err_temporary((enum err)e),
                         e == ERR_INTERNAL || e == ERR_TOO_MANY_REQUESTS);
}

static void a_number_outside_the_list_is_unknown_and_not_temporary(void **state)
{
    static const int outside[] = {-1, 1, 99, 113, 1000000, INT32_MIN, INT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        assert_string_equal(err_text((enum err)outside[i]), "unknown error");
        assert_false(err_temporary((enum err)outside[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_the_number_text_and_flag_of_the_protocol),
        cmocka_unit_test(only_internal_error_and_too_many_requests_are_temporary),
        cmocka_unit_test(a_number_outside_the_list_is_unknown_and_not_temporary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
