/* SPDX-License-Identifier: MIT */
#include "backplane/control.h"

#include "tests/unit/core_kit.h"

#define ID_A "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define ID_B "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

static struct client_info *client(const char *id, const char *user)
{
    struct client_info *c = client_info_new(id, span_str(user), (struct span){0}, (struct span){0});
    assert_non_null(c);
    return c;
}

static void an_order_is_for_a_user_or_one_of_its_clients(void **state)
{
    (void)state;
    struct client_info *a = client(ID_A, "u"), *b = client(ID_B, "u"), *other = client(ID_A, "v");
    struct client_info *nobody = client(ID_A, "");
    struct control *c = control_new(CONTROL_DISCONNECT, 2, 1 + CLIENT_ID_LENGTH * 3);
    c->user = control_copy(c, SPAN("u"));
    assert_true(control_is_for(c, a) && control_is_for(c, b));
    assert_false(control_is_for(c, other) || control_is_for(c, nobody));
    c->client = control_copy(c, SPAN(ID_B));
    assert_true(control_is_for(c, b));
    assert_false(control_is_for(c, a));
    c->client = (struct span){0};
    c->whitelist = control_copy(c, SPAN(ID_B));
    assert_true(control_is_for(c, a));
    assert_false(control_is_for(c, b));
    c->whitelist.n += control_copy(c, SPAN(ID_A)).n;
    assert_false(control_is_for(c, a) || control_is_for(c, b));
    c->user = (struct span){0};
    c->whitelist = (struct span){0};
    assert_true(control_is_for(c, nobody));
    assert_false(control_is_for(c, a));
    control_unref(c);
    free(a);
    free(b);
    free(other);
    free(nobody);
}

static void it_lives_as_long_as_somebody_holds_it(void **state)
{
    (void)state;
    struct control *c = control_new(CONTROL_DISCONNECT, 3, 4);
    for (uint32_t i = 0; i < c->hubs; i++)
        assert_ptr_equal(control_ref(c)->entries[i].control, c);
    assert_span(control_copy(c, SPAN("text")), "text");
    for (uint32_t i = 4; i; i--) {
        assert_int_equal(c->refs, i);
        control_unref(c);
    }
    control_unref(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_is_for_a_user_or_one_of_its_clients),
        cmocka_unit_test(it_lives_as_long_as_somebody_holds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
