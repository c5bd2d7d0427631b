/* SPDX-License-Identifier: MIT */
#include "backplane/presence.h"

#include "backplane/base/json.h"
#include "backplane/base/map.h"
#include "tests/unit/core_kit.h"

#define CLIENTS 30

static struct presence presence;
static struct client_info *clients[CLIENTS];
static struct present places[CLIENTS];

static int start(void **state)
{
    (void)state;
    presence_init(&presence);
    memset(places, 0, sizeof(places));
    for (int i = 0; i < CLIENTS; i++) {
        char id[CLIENT_ID_LENGTH + 1], user[8];
        snprintf(id, sizeof(id), "%036d", i);
        snprintf(user, sizeof(user), "u%d", i % 7);
        clients[i] =
            client_info_new(id, span_str(i % 7 ? user : ""), (struct span){0}, (struct span){0});
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        presence_remove(&presence, &places[i]);
        client_info_unref(clients[i]);
    }
    assert_int_equal(presence.num_clients, 0);
    assert_int_equal(presence.num_users, 0);
    assert_null(presence.users);
    return 0;
}

static void add(int i)
{
    assert_int_equal(presence_add(&presence, &places[i], clients[i]), OK);
}

static void nobody_is_an_empty_object(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_int_equal(presence_json(&presence, 100, &b), OK);
    assert_span(((struct span){b.p, b.n}), "{}");
    buf_deinit(&b);
}

static void clients_are_listed_by_id_in_the_order_of_coming(void **state)
{
    (void)state;
    struct buf b = {0};
    add(1);
    add(0);
    buf_lit(&b, "x"); /* appended to what is there */
    assert_int_equal(presence_json(&presence, 1000, &b), OK);
    assert_span(((struct span){b.p, b.n}),
                "x{\"000000000000000000000000000000000001\":{\"user\":\"u1\",\"client\":"
                "\"000000000000000000000000000000000001\"},"
                "\"000000000000000000000000000000000000\":{\"user\":\"\",\"client\":"
                "\"000000000000000000000000000000000000\"}}");
    buf_deinit(&b);
}

static void users_are_counted_once_however_many_clients_they_have(void **state)
{
    (void)state;
    random_begin("presence");
    bool in[CLIENTS] = {false};
    for (int step = 0; step < 5000; step++) {
        int i = (int)random_below(CLIENTS);
        if (in[i])
            presence_remove(&presence, &places[i]);
        else
            add(i);
        in[i] = !in[i];
        uint32_t n = 0, users = 0;
        bool user[7] = {false};
        for (int c = 0; c < CLIENTS; c++)
            n += in[c];
        for (int c = 0; c < CLIENTS; c++) {
            users += in[c] && !user[c % 7];
            user[c % 7] |= in[c];
        }
        assert_int_equal(presence.num_clients, n);
        assert_int_equal(presence.num_users, users);
    }
}

static void who_is_not_there_can_be_removed(void **state)
{
    (void)state;
    add(1);
    presence_remove(&presence, &places[2]);
    presence_remove(&presence, &places[1]);
    presence_remove(&presence, &places[1]);
    assert_int_equal(presence.num_clients, 0);
}

/* Whatever the limit: all of it within the limit, or the error. */
static void a_list_longer_than_allowed_is_refused(void **state)
{
    (void)state;
    struct buf whole = {0};
    for (int i = 0; i < CLIENTS; i++)
        add(i);
    assert_int_equal(presence_json(&presence, 100000, &whole), OK);
    struct span value;
    assert_true(json_document((struct span){whole.p, whole.n}, 3, &value));
    for (size_t limit = 0; limit < whole.n + 3; limit++) {
        struct buf b = {0};
        enum err e = presence_json(&presence, limit, &b);
        assert_int_equal(e, limit >= whole.n ? OK : ERR_LIMIT);
        buf_deinit(&b);
    }
    buf_deinit(&whole);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(nobody_is_an_empty_object),
        TEST(clients_are_listed_by_id_in_the_order_of_coming),
        TEST(users_are_counted_once_however_many_clients_they_have),
        TEST(who_is_not_there_can_be_removed),
        TEST(a_list_longer_than_allowed_is_refused),
    };
    map_seed();
    return cmocka_run_group_tests_name("presence", tests, NULL, NULL);
}
