/* SPDX-License-Identifier: MIT */
/* test_sequencer_behind.c: hubs whose inbox is full, and how they catch up. */
#include "backplane/sequencer.h"

#include "backplane/base/map.h"
#include "tests/unit/seq_scene.h"

static size_t times(const struct fake_hub *h, const char *what)
{
    size_t n = 0;
    struct span rest = {h->log.p, h->log.n};
    for (const char *at; rest.n && (at = memmem(rest.p, rest.n, what, strlen(what))); n++) {
        rest.n -= (size_t)(at + 1 - rest.p);
        rest.p = at + 1;
    }
    return n;
}

static void a_hub_that_was_behind_is_filled_without_gap_or_repeat(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    run_all();
    publish_many('a', 100, &ring);
    hub_take(&hubs[1]);
    assert_in_range(u->at.offset, 1, 99);
    assert_int_equal(times(&hubs[1], "behind"), 1);
    publish_many('a', 100, &ring);
    run_all();
    assert_int_equal(u->at.offset, 200); /* without gap or repeat: client_takes */
    assert_int_equal(times(&hubs[1], "lost"), 0);
    assert_true(sequencer_counters(seq)->fills > 0);
    publish_many('a', 1, &ring);
    run_all();
    assert_int_equal(u->at.offset, 201);
}

static void other_hubs_go_on_while_one_is_behind(void **state)
{
    (void)state;
    subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    struct fake_sub *v = subscribe(session_new(&hubs[2], "v"), 'a', &plain);
    run_all();
    for (int i = 0; i < 50; i++) {
        publish_many('a', 1, &ring);
        hub_take(&hubs[2]);
        assert_int_equal(v->at.offset, i + 1);
    }
    assert_int_equal(times(&hubs[2], "behind"), 0);
}

static void a_subscribe_waits_until_its_hub_has_caught_up(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    run_all();
    publish_many('a', 50, &ring);
    struct fake_sub *v = subscribe(session_new(&hubs[1], "v"), 'a', &plain);
    seq_run();
    hub_take(&hubs[1]);
    assert_int_equal(v->state, SUB_ASKED); /* at 50 its hub's others would lose what lies between */
    publish_many('a', 50, &ring);
    run_all();
    assert_int_equal(u->at.offset, 100);
    assert_int_equal(v->at.offset, 100);
    publish_many('a', 1, &ring);
    run_all();
    assert_int_equal(u->at.offset, 101);
    assert_int_equal(v->at.offset, 101);
    assert_int_equal(times(&hubs[1], "lost"), 0);
}

static void a_subscribe_that_waits_can_be_taken_back(void **state)
{
    (void)state;
    subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    run_all();
    publish_many('a', 50, &ring);
    struct fake_session *w = session_new(&hubs[1], "w");
    unsubscribe(subscribe(session_new(&hubs[1], "v"), 'a', &plain));
    subscribe(w, 'a', &plain);
    session_end(w);
    seq_run();
    assert_int_equal(times(&hubs[1], "-v"), 0);
    run_all();
    assert_int_equal(times(&hubs[1], "-v"), 1);
    assert_int_equal(times(&hubs[1], ".w"), 1);
}

/* Else its leave would come after its second join, and others would take it for gone. */
static void who_waits_and_leaves_and_comes_back_does_so_in_that_order(void **state)
{
    (void)state;
    subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    subscribe(session_new(&hubs[2], "v"), 'a', &chat);
    run_all();
    for (int i = 0; i < 12; i++) {
        publish_many('a', 1, &ring);
        hub_take(&hubs[2]);
    }
    struct fake_session *c = session_new(&hubs[1], "c");
    struct fake_sub *first = subscribe(c, 'a', &chat);
    seq_run();
    hub_take(&hubs[1]);
    (void)seq_turn(); /* the fill is under way */
    buf_clear(&hubs[1].log);
    hub_take(&hubs[2]);
    buf_clear(&hubs[2].log);
    unsubscribe(first);
    subscribe(c, 'a', &chat);
    run_all();
    assert_heard(&hubs[2], "a>c a<c a>c");
    assert_heard(&hubs[1], "a:10 a:11 a:12 +c@12 a>c -c +c@12 a>c");
}

static void when_all_others_leave_a_subscribe_need_not_wait(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    run_all();
    publish_many('a', 50, &ring);
    struct fake_sub *v = subscribe(session_new(&hubs[1], "v"), 'a', &plain);
    seq_run();
    unsubscribe(u);
    seq_run();
    struct entry *e = inbox_take(&hubs[1].inbox); /* `behind` stays unanswered: cannot be filled */
    bool answered = false;
    for (struct entry *next; e; e = next) {
        next = e->next;
        answered |= e->kind == REQUEST_SUBSCRIBE;
        take_entry(&hubs[1], e);
    }
    assert_true(answered);
    assert_int_equal(v->at.offset, 50);
}

static void what_the_stream_no_longer_holds_is_told_as_lost(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &brief);
    run_all();
    publish_many('a', 50, &short_ring);
    run_all();
    assert_int_equal(u->state, SUB_TOLD);
    assert_int_equal(times(&hubs[1], "lost:a"), 1);
    assert_int_equal(sequencer_counters(seq)->insufficient, 1);
    struct fake_sub *v = subscribe(session_new(&hubs[1], "v"), 'a', &brief);
    publish_many('a', 3, &short_ring);
    run_all();
    assert_int_equal(v->at.offset, 53);
    assert_int_equal(times(&hubs[1], "lost:a"), 1);
}

static void what_no_stream_holds_is_told_as_lost(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &streamless);
    struct fake_sub *v = subscribe(session_new(&hubs[1], "v"), 'b', &plain);
    run_all();
    publish_many('b', 40, &ring);
    publish_many('a', 1, &none);
    run_all();
    assert_int_equal(u->state, SUB_TOLD);
    assert_int_equal(times(&hubs[1], "lost:a"), 1);
    assert_int_equal(v->at.offset, 40);
    subscribe(session_new(&hubs[1], "w"), 'a', &streamless);
    run_all();
    buf_clear(&hubs[1].log);
    publish(&hubs[0], 'a', "5", &none);
    run_all();
    assert_heard(&hubs[1], "a~5");
}

static void a_join_that_a_hub_missed_is_told_once_where_somebody_listens(void **state)
{
    (void)state;
    struct ask deaf = chat;
    deaf.join_leave = false;
    subscribe(session_new(&hubs[1], "u"), 'a', &chat);
    subscribe(session_new(&hubs[1], "v"), 'b', &deaf);
    struct fake_sub *x = subscribe(session_new(&hubs[1], "x"), 'c', &plain);
    run_all();
    publish_many('c', 40, &ring);
    subscribe(session_new(&hubs[0], "w"), 'a', &chat);
    subscribe(session_new(&hubs[0], "w"), 'b', &chat);
    seq_run();
    run_all();
    assert_int_equal(times(&hubs[1], "lost:a"), 1);
    assert_int_equal(times(&hubs[1], "lost:b"), 0);
    assert_int_equal(x->at.offset, 40);
    /* Who comes after that has lost nothing, however far behind the hub falls again. */
    struct fake_sub *y = subscribe(session_new(&hubs[1], "y"), 'a', &chat);
    run_all();
    publish_many('c', 40, &ring);
    publish_many('a', 3, &ring);
    run_all();
    assert_int_equal(times(&hubs[1], "lost:a"), 1);
    assert_int_equal(y->at.offset, 3);
}

static void who_comes_after_all_have_left_has_lost_nothing(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &chat);
    subscribe(session_new(&hubs[1], "x"), 'c', &plain);
    run_all();
    publish_many('c', 40, &ring);
    subscribe(session_new(&hubs[0], "w"), 'a', &chat); /* u misses this */
    seq_run();
    unsubscribe(u);
    seq_run();
    struct fake_sub *v = subscribe(session_new(&hubs[1], "v"), 'a', &plain);
    publish_many('a', 3, &ring);
    run_all();
    assert_int_equal(v->at.offset, 3);
    assert_int_equal(times(&hubs[1], "lost:a"), 0);
}

static void a_signal_that_finds_no_room_is_let_go(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    run_all();
    publish_many('a', 40, &ring);
    signal_room(&hubs[0], 'a', "7");
    run_all();
    assert_int_equal(u->at.offset, 40);
    assert_int_equal(times(&hubs[1], "~7"), 0);
    assert_int_equal(times(&hubs[1], "lost"), 0);
}

static void many_rooms_are_filled_in_slices_and_all_of_them(void **state)
{
    (void)state;
    struct fake_session *u = session_new(&hubs[1], "u");
    for (char room = 'a'; room <= 'z'; room++)
        subscribe(u, room, &plain);
    run_all();
    for (char room = 'a'; room <= 'z'; room++)
        publish_many(room, 20, &ring);
    run_all();
    for (int i = 0; i < ROOMS; i++)
        assert_int_equal(u->subs[i].at.offset, 20);
    assert_true(sequencer_counters(seq)->fills >= 20);
}

static void a_near_hub_falls_behind_and_is_filled_alike(void **state)
{
    (void)state;
    restart(config(), true);
    struct fake_sub *u = subscribe(session_new(&hubs[1], "u"), 'a', &plain);
    run_all();
    publish_many('a', 100, &ring);
    hub_take(&hubs[1]);
    assert_int_equal(times(&hubs[1], "behind"), 1);
    run_all();
    assert_int_equal(u->at.offset, 100);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_hub_that_was_behind_is_filled_without_gap_or_repeat),
        TEST(other_hubs_go_on_while_one_is_behind),
        TEST(a_subscribe_waits_until_its_hub_has_caught_up),
        TEST(a_subscribe_that_waits_can_be_taken_back),
        TEST(who_waits_and_leaves_and_comes_back_does_so_in_that_order),
        TEST(when_all_others_leave_a_subscribe_need_not_wait),
        TEST(what_the_stream_no_longer_holds_is_told_as_lost),
        TEST(what_no_stream_holds_is_told_as_lost),
        TEST(a_join_that_a_hub_missed_is_told_once_where_somebody_listens),
        TEST(who_comes_after_all_have_left_has_lost_nothing),
        TEST(a_signal_that_finds_no_room_is_let_go),
        TEST(many_rooms_are_filled_in_slices_and_all_of_them),
        TEST(a_near_hub_falls_behind_and_is_filled_alike),
    };
    map_seed();
    return cmocka_run_group_tests_name("sequencer behind", tests, NULL, NULL);
}
