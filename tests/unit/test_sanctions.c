/* SPDX-License-Identifier: MIT */
#include "backplane/sanctions.h"

#include "backplane/base/buf.h"
#include "backplane/base/map.h"
#include "tests/unit/core_kit.h"

static struct sanctions all;

static int start(void **state)
{
    (void)state;
    sanctions_init(&all, 1000);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sanctions_deinit(&all);
    assert_int_equal(all.count, 0);
    assert_int_equal(all.everywhere, 0);
    assert_true(list_empty(&all.ends));
    return 0;
}

static enum err put(enum sanction_kind kind, const char *user, const char *room, const char *reason,
                    uint64_t until)
{
    struct sanction what = {kind, span_str(user), span_str(room), span_str(reason), until};
    return sanctions_put(&all, &what);
}

static bool holds(enum sanction_kind kind, const char *user, const char *room, uint64_t now)
{
    return sanctions_find(&all, kind, span_str(user), span_str(room), now) != NULL;
}

static void one_holds_for_its_user_kind_and_place(void **state)
{
    (void)state;
    assert_int_equal(put(SANCTION_BAN, "u", "r", "why", 0), OK);
    assert_true(holds(SANCTION_BAN, "u", "r", 5));
    assert_false(holds(SANCTION_MUTE, "u", "r", 5));
    assert_false(holds(SANCTION_BAN, "u", "s", 5));
    assert_false(holds(SANCTION_BAN, "u", "", 5)); /* not kept from everything */
    assert_false(holds(SANCTION_BAN, "v", "r", 5));
    assert_false(holds(SANCTION_BAN, "", "r", 5));
    assert_int_equal(all.everywhere, 0);
    const struct sanction *what = sanctions_find(&all, SANCTION_BAN, SPAN("u"), SPAN("r"), 5);
    assert_span(what->user, "u");
    assert_span(what->room, "r");
    assert_span(what->reason, "why");
}

static void one_from_everywhere_holds_in_every_room(void **state)
{
    (void)state;
    put(SANCTION_MUTE, "u", "", "", 0);
    assert_int_equal(all.everywhere, 0); /* mutes do not matter to who connects */
    put(SANCTION_BAN, "u", "", "", 0);
    assert_int_equal(all.everywhere, 1);
    assert_true(holds(SANCTION_BAN, "u", "r", 5));
    assert_true(holds(SANCTION_BAN, "u", "", 5));
    sanctions_lift(&all, SANCTION_BAN, SPAN("u"), SPAN("r")); /* that is another one */
    assert_true(holds(SANCTION_BAN, "u", "r", 5));
    sanctions_lift(&all, SANCTION_BAN, SPAN("u"), SPAN(""));
    assert_false(holds(SANCTION_BAN, "u", "r", 5));
    assert_true(holds(SANCTION_MUTE, "u", "r", 5));
    assert_int_equal(all.everywhere, 0);
}

static void one_ends_at_its_time_whether_or_not_it_was_forgotten_by_then(void **state)
{
    (void)state;
    put(SANCTION_BAN, "u", "", "", 100);
    assert_true(holds(SANCTION_BAN, "u", "", 99));
    assert_false(holds(SANCTION_BAN, "u", "", 100));
    sanctions_expire(&all, 99);
    assert_int_equal(all.count, 1);
    sanctions_expire(&all, 100);
    assert_int_equal(all.count, 0);
    assert_int_equal(all.everywhere, 0);
}

static void the_newer_one_takes_the_place_of_the_older_even_when_all_places_are_taken(void **state)
{
    (void)state;
    all.max = 2;
    assert_int_equal(put(SANCTION_BAN, "u", "r", "old", 100), OK);
    assert_int_equal(put(SANCTION_MUTE, "u", "r", "", 0), OK);
    assert_int_equal(put(SANCTION_BAN, "v", "r", "", 0), ERR_LIMIT);
    assert_int_equal(put(SANCTION_BAN, "u", "r", "new", 200), OK);
    assert_int_equal(all.count, 2);
    assert_span(sanctions_find(&all, SANCTION_BAN, SPAN("u"), SPAN("r"), 5)->reason, "new");
    sanctions_expire(&all, 150);
    assert_true(holds(SANCTION_BAN, "u", "r", 150));
    sanctions_expire(&all, 200);
    assert_int_equal(put(SANCTION_BAN, "v", "r", "", 0), OK);
}

static bool collect(void *owner, const struct sanction *what)
{
    struct buf *b = owner;
    buf_span(b, what->user);
    buf_char(b, '/');
    buf_span(b, what->room);
    buf_char(b, ' ');
    return b->n < 14;
}

static void assert_listed(enum sanction_kind kind, const char *user, const char *room,
                          const char *text)
{
    struct buf b = {0};
    sanctions_each(&all, kind, span_str(user), span_str(room), collect, &b);
    buf_char(&b, '.');
    assert_span(((struct span){b.p, b.n}), text);
    buf_deinit(&b);
}

static void they_are_listed_by_kind_user_and_room_and_no_further_than_wanted(void **state)
{
    (void)state;
    put(SANCTION_BAN, "u", "r", "", 0);
    put(SANCTION_BAN, "u", "", "", 0);
    put(SANCTION_MUTE, "u", "r", "", 0);
    put(SANCTION_BAN, "v", "r", "", 0);
    assert_listed(SANCTION_BAN, "", "", "u/r u/ v/r .");
    assert_listed(SANCTION_BAN, "u", "", "u/r u/ .");
    assert_listed(SANCTION_BAN, "", "r", "u/r v/r .");
    assert_listed(SANCTION_MUTE, "", "", "u/r .");
    assert_listed(SANCTION_MUTE, "w", "", ".");
    put(SANCTION_BAN, "w", "a", "", 0);
    put(SANCTION_BAN, "w", "b", "", 0);
    assert_listed(SANCTION_BAN, "", "", "u/r u/ v/r w/a .");
}

/* Against a plain table. */
#define USERS  6
#define PLACES 4
static void any_sequence_leaves_what_a_table_would_say(void **state)
{
    (void)state;
    random_begin("sanctions");
    static const char *const users[USERS] = {"a", "b", "c", "d", "e", "f"};
    static const char *const rooms[PLACES] = {"", "x", "y", "z"};
    uint64_t until[USERS][PLACES][SANCTION_KINDS] = {0}; /* 0: none */
    for (uint64_t now = 1; now < 3000; now++) {
        uint32_t u = random_below(USERS), r = random_below(PLACES);
        enum sanction_kind k = (enum sanction_kind)random_below(SANCTION_KINDS);
        if (one_in(3)) {
            sanctions_lift(&all, k, span_str(users[u]), span_str(rooms[r]));
            until[u][r][k] = 0;
        } else {
            uint64_t end = one_in(4) ? 0 : now + random_below(60);
            assert_int_equal(put(k, users[u], rooms[r], "reason", end), OK);
            until[u][r][k] = end ? end : UINT64_MAX;
        }
        if (one_in(5))
            sanctions_expire(&all, now);
        for (u = 0; u < USERS; u++)
            for (r = 0; r < PLACES; r++)
                for (int i = 0; i < SANCTION_KINDS; i++)
                    assert_int_equal(holds((enum sanction_kind)i, users[u], rooms[r], now),
                                     until[u][r][i] > now || until[u][0][i] > now);
    }
    sanctions_expire(&all, 10000);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sizeof(until) / sizeof(uint64_t); i++)
        kept += (&until[0][0][0])[i] == UINT64_MAX;
    assert_int_equal(all.count, kept);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(one_holds_for_its_user_kind_and_place),
        TEST(one_from_everywhere_holds_in_every_room),
        TEST(one_ends_at_its_time_whether_or_not_it_was_forgotten_by_then),
        TEST(the_newer_one_takes_the_place_of_the_older_even_when_all_places_are_taken),
        TEST(they_are_listed_by_kind_user_and_room_and_no_further_than_wanted),
        TEST(any_sequence_leaves_what_a_table_would_say),
    };
    map_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
