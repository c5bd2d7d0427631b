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

/* ---- rooms for certain users ---- */

static void a_limited_room_is_for_those_behind_its_last_mark(void **state)
{
    static const struct {
        const char *room, *user;
        bool is_for;
    } rows[] = {
        {"#a", "a", true},          {"x#a", "a", true},          {"x:y#a,b", "b", true},
        {"#a,b", "a,b", false},     {"#a%2Cb", "a,b", true},     {"#a%2cb", "a,b", true},
        {"#a%2Cb", "a%2Cb", false}, {"#a%252Cb", "a%2Cb", true}, {"#100%", "100%", true},
        {"#%4", "%4", true},        {"#a#b", "a", false},        {"#a#b", "b", true},
        {"#ab", "a", false},        {"#a", "ab", false},         {"#", "", false},
        {"#,", "", false},          {"#A", "a", false},          {"a", "a", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (room_is_for(span_str(rows[i].room), span_str(rows[i].user)) != rows[i].is_for)
            fail_msg("row %zu: %s", i, rows[i].room);
}

static void every_user_id_is_found_again(void **state)
{
    char user[256], room[1 + 3 * 256] = "#";
    (void)state;
    for (int i = 0; i < 255; i++)
        user[i] = (char)(i + 1);
    for (size_t n = 1; n <= 255; n++) {
        size_t len = room_encode_user((struct span){user, n}, room + 1);
        assert_true(room_is_for((struct span){room, 1 + len}, (struct span){user, n}));
        assert_false(room_is_for((struct span){room, 1 + len}, (struct span){user, n - 1}));
        assert_null(memchr(room + 1, '#', len));
        assert_null(memchr(room + 1, ',', len));
    }
}

static void only_the_rules_make_a_room_limited(void **state)
{
    struct room_rules r = {.name = ""};
    (void)state;
    assert_false(room_is_limited(&r, SPAN("#a")));
    r.allow_user_limited_channels = true;
    assert_true(room_is_limited(&r, SPAN("#a")));
    assert_false(room_is_limited(&r, SPAN("a")));
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
        cmocka_unit_test(a_limited_room_is_for_those_behind_its_last_mark),
        cmocka_unit_test(every_user_id_is_found_again),
        cmocka_unit_test(only_the_rules_make_a_room_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
