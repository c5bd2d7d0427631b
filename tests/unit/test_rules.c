/* SPDX-License-Identifier: MIT */
#include "rooms/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct room_rules LIST[] = {{.name = ""}, {.name = "chat"}, {.name = "chat.old"}};
static const struct rules RULES = {LIST, sizeof(LIST) / sizeof(LIST[0])};

/* The namespace whose rules a room has; NULL: none. */
static const char *namespace_of(struct span room)
{
    const struct room_rules *r = rules_of(&RULES, room);
    return r ? r->name : NULL;
}

static void the_text_before_the_first_colon_decides(void **state)
{
    (void)state;
    assert_string_equal(namespace_of(SPAN("lobby")), "");
    assert_string_equal(namespace_of(SPAN("chat:lobby")), "chat");
    assert_string_equal(namespace_of(SPAN("chat:")), "chat");
    assert_string_equal(namespace_of(SPAN("chat:a:b")), "chat");
    assert_string_equal(namespace_of(SPAN("chat.old:x")), "chat.old");
    assert_string_equal(namespace_of(SPAN("chat")), "");
    assert_string_equal(namespace_of(SPAN(":x")), "");
    assert_string_equal(namespace_of(SPAN("마당")), "");
    assert_string_equal(namespace_of(SPAN("")), "");
}

static void one_dollar_is_stripped(void **state)
{
    (void)state;
    assert_string_equal(namespace_of(SPAN("$chat:x")), "chat");
    assert_string_equal(namespace_of(SPAN("$lobby")), "");
    assert_string_equal(namespace_of(SPAN("$")), "");
    assert_null(namespace_of(SPAN("$$chat:x")));
}

static void an_unknown_namespace_has_no_rooms(void **state)
{
    (void)state;
    assert_null(namespace_of(SPAN("game:x")));
    assert_null(namespace_of(SPAN("cha:x")));
    assert_null(namespace_of(SPAN("chats:x")));
    assert_null(namespace_of(SPAN("Chat:x")));
    assert_null(namespace_of(SPAN("chat\0:x")));
}

#define ASSERT_NAME(want, literal) assert_int_equal(want, room_name_check(SPAN(literal), 255))

static void names_are_utf8_of_any_script(void **state)
{
    (void)state;
    ASSERT_NAME(OK, "lobby");
    ASSERT_NAME(OK, "마당 #1, 'quoted' \"too\"");
    ASSERT_NAME(OK, "\xF0\x9F\x98\x80");
    ASSERT_NAME(OK, "\xC2\xA0"); /* the first behind the C1 controls */
    ASSERT_NAME(OK, "\xC3\x9F"); /* a tail byte of a letter is no control */
    ASSERT_NAME(OK, "");
}

static void control_characters_are_refused(void **state)
{
    (void)state;
    ASSERT_NAME(ERR_BAD_REQUEST, "a\0b");
    ASSERT_NAME(ERR_BAD_REQUEST, "a\nb");
    ASSERT_NAME(ERR_BAD_REQUEST, "\x1F");
    ASSERT_NAME(ERR_BAD_REQUEST, "\x7F");
    ASSERT_NAME(ERR_BAD_REQUEST, "\xC2\x80");
    ASSERT_NAME(ERR_BAD_REQUEST, "a\xC2\x9F");
    assert_int_equal(room_name_check(SPAN("a b~"), 4), OK);
}

static void broken_utf8_is_refused(void **state)
{
    (void)state;
    ASSERT_NAME(ERR_BAD_REQUEST, "\xC2");
    ASSERT_NAME(ERR_BAD_REQUEST, "\x80");
    ASSERT_NAME(ERR_BAD_REQUEST, "\xC0\xAF");
    ASSERT_NAME(ERR_BAD_REQUEST, "\xED\xA0\x80");
    ASSERT_NAME(ERR_BAD_REQUEST, "a\xEB\xA7");
}

static void length_counts_bytes(void **state)
{
    (void)state;
    assert_int_equal(room_name_check(SPAN("마당"), 6), OK);
    assert_int_equal(room_name_check(SPAN("마당"), 5), ERR_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_before_the_first_colon_decides),
        cmocka_unit_test(one_dollar_is_stripped),
        cmocka_unit_test(an_unknown_namespace_has_no_rooms),
        cmocka_unit_test(names_are_utf8_of_any_script),
        cmocka_unit_test(control_characters_are_refused),
        cmocka_unit_test(broken_utf8_is_refused),
        cmocka_unit_test(length_counts_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
