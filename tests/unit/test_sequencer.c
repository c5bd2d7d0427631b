/* SPDX-License-Identifier: MIT */
#include "backplane/sequencer.h"

#include "backplane/base/map.h"
#include "backplane/fail.h"
#include "tests/unit/seq_scene.h"

/* ---- fan-out -------------------------------------------------------------------------------- */

static void a_publication_goes_only_to_hubs_that_have_the_room(void **state)
{
    (void)state;
    subscribe(session_new(&hubs[0], "u"), 'a', &plain);
    subscribe(session_new(&hubs[1], "v"), 'b', &plain);
    run_all();
    publish(&hubs[2], 'a', "1", &ring);
    publish(&hubs[2], 'c', "1", &ring);
    run_all();
    assert_heard(&hubs[0], "+u@0 a:1");
    assert_heard(&hubs[1], "+v@0");
    assert_heard(&hubs[2], "ok ok");
}

static void a_hub_gets_one_push_however_many_of_its_sessions_are_there(void **state)
{
    (void)state;
    subscribe(session_new(&hubs[0], "u"), 'a', &plain);
    subscribe(session_new(&hubs[0], "v"), 'a', &plain);
    publish(&hubs[1], 'a', "1", &ring);
    run_all();
    assert_heard(&hubs[0], "+u@0 +v@0 a:1");
}

static void a_publisher_hears_its_own_publication_before_the_reply(void **state)
{
    (void)state;
    subscribe(session_new(&hubs[0], "u"), 'a', &plain);
    subscribe(session_new(&hubs[0], "u"), 'b', &streamless);
    publish(&hubs[0], 'a', "1", &ring);
    publish(&hubs[0], 'b', "2", &none);
    signal_room(&hubs[0], 'b', "3");
    run_all();
    /* A signal takes no part in the order of publications, so it need not wait for the driver. */
    assert_heard(&hubs[0], "ok +u@0 +u@0 a:1 ok b~2 ok");
}

static void a_signal_reaches_the_hubs_that_have_the_room_and_is_never_stored(void **state)
{
    (void)state;
    subscribe(session_new(&hubs[0], "u"), 'a', &plain);
    run_all();
    signal_room(&hubs[1], 'a', "7");
    signal_room(&hubs[1], 'b', "7");
    run_all();
    publish(&hubs[1], 'a', "1", &ring);
    run_all();
    assert_heard(&hubs[0], "+u@0 a~7 a:1");
    assert_heard(&hubs[1], "ok ok ok");
}

static void after_the_last_unsubscribe_nothing_more_comes(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[0], "u"), 'a', &plain);
    struct fake_sub *v = subscribe(session_new(&hubs[0], "v"), 'a', &plain);
    run_all();
    unsubscribe(u);
    publish(&hubs[1], 'a', "1", &ring);
    run_all();
    unsubscribe(v);
    publish(&hubs[1], 'a', "2", &ring);
    run_all();
    assert_heard(&hubs[0], "+u@0 +v@0 -u a:1 -v");
}

/* ---- who is here ---------------------------------------------------------------------------- */

static void own_join_comes_after_the_reply_and_leaves_go_to_who_listens(void **state)
{
    (void)state;
    struct ask deaf = chat, quiet = chat;
    deaf.join_leave = false;
    quiet.announce = false;
    subscribe(session_new(&hubs[0], "u"), 'a', &chat);
    run_all();
    struct fake_sub *v = subscribe(session_new(&hubs[1], "v"), 'a', &chat);
    run_all();
    struct fake_session *w = session_new(&hubs[1], "w");
    subscribe(session_new(&hubs[2], "x"), 'a', &quiet);
    run_all();
    subscribe(w, 'a', &deaf);
    run_all();
    assert_heard(&hubs[0], "+u@0 a>u a>v a>w");
    assert_heard(&hubs[1], "+v@0 a>v +w@0 a>w");
    assert_heard(&hubs[2], "+x@0 a>w");
    unsubscribe(v);
    run_all();
    session_end(w);
    run_all();
    assert_heard(&hubs[0], "a<v a<w");
    assert_heard(&hubs[1], "-v .w"); /* nobody listens there any more */
    assert_heard(&hubs[2], "a<v a<w");
}

static void presence_counts_clients_and_users(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[0], "u"), 'a', &chat);
    subscribe(session_new(&hubs[1], "u"), 'a', &chat);
    subscribe(session_new(&hubs[1], "v"), 'a', &plain); /* not counted */
    run_all();
    buf_clear(&hubs[0].log);
    ask_presence(&hubs[0], 'a', 10000, false);
    ask_presence(&hubs[0], 'a', 100, true);
    ask_presence(&hubs[0], 'a', 100, false);
    ask_presence(&hubs[0], 'b', 100, true);
    run_all();
    assert_heard(&hubs[0], "a?2/1 a?2/1 a?!106 b?0/0");
    unsubscribe(u);
    ask_presence(&hubs[0], 'a', 10000, false);
    run_all();
    assert_heard(&hubs[0], "-u a?1/1");
    ask_presence(&hubs[0], 'b', 10000, false);
    run_all();
    assert_span(((struct span){hubs[0].presence.p, hubs[0].presence.n}), "{}");
}

static void presence_waits_for_what_its_hub_asked_before(void **state)
{
    (void)state;
    struct fake_session *u = session_new(&hubs[0], "u");
    struct fake_sub *first = subscribe(u, 'a', &chat);
    ask_presence(&hubs[0], 'a', 0, true);
    subscribe(session_new(&hubs[0], "v"), 'a', &chat);
    ask_presence(&hubs[0], 'a', 0, true);
    unsubscribe(first);
    ask_presence(&hubs[0], 'a', 0, true);
    ask_presence(&hubs[1], 'a', 0, true); /* who did not ask for them need not wait */
    run_all();
    assert_heard(&hubs[0], "+u@0 a>u a?1/1 -u +v@0 a>v a?1/1 a?1/1");
    assert_heard(&hubs[1], "a?0/0");
    unsubscribe(subscribe(session_new(&hubs[0], "w"), 'b', &chat));
    ask_presence(&hubs[0], 'b', 0, true);
    run_all();
    assert_heard(&hubs[0], "+w@0 b>w -w b?0/0");
}

static void in_a_large_room_nobody_is_told_who_comes_and_goes(void **state)
{
    (void)state;
    struct ask deaf = chat;
    deaf.join_leave = false;
    subscribe(session_new(&hubs[1], "v"), 'a', &chat);
    for (int i = 1; i < JOIN_LEAVE_MEMBERS_MAX - 1; i++)
        subscribe(session_new(&hubs[0], "u"), 'a', &deaf);
    run_all();
    buf_clear(&hubs[1].log);
    subscribe(session_new(&hubs[0], "last"), 'a', &deaf);
    subscribe(session_new(&hubs[0], "more"), 'a', &deaf);
    struct fake_sub *more = subscribe(session_new(&hubs[0], "more"), 'a', &deaf);
    run_all();
    unsubscribe(more);
    ask_presence(&hubs[1], 'a', 0, true);
    run_all();
    assert_heard(&hubs[1], "a>last a?1001/4");
}

/* ---- leaving while arriving ----------------------------------------------------------------- */

static void who_unsubscribes_while_subscribing_is_in_and_out_again(void **state)
{
    (void)state;
    subscribe(session_new(&hubs[1], "v"), 'a', &chat);
    run_all();
    unsubscribe(subscribe(session_new(&hubs[0], "u"), 'a', &chat));
    publish(&hubs[2], 'a', "1", &ring);
    ask_presence(&hubs[2], 'a', 1000, true);
    run_all();
    ask_presence(&hubs[2], 'a', 1000, true);
    run_all();
    assert_heard(&hubs[0], "+u@0 a>u -u");
    assert_heard(&hubs[1], "+v@0 a>v a>u a<u a:1");
    assert_heard(&hubs[2], "a?1/1 ok a?1/1");
}

static void an_end_waits_for_what_is_under_way_and_is_answered_once(void **state)
{
    (void)state;
    struct fake_session *u = session_new(&hubs[0], "u");
    subscribe(session_new(&hubs[1], "v"), 'c', &chat);
    subscribe(u, 'a', &chat);
    run_all();
    subscribe(u, 'b', &plain);
    subscribe(u, 'c', &chat);
    unsubscribe(subscribe(u, 'd', &plain));
    session_end(u);
    run_all();
    assert_heard(&hubs[0], "+u@0 a>u +u@0 +u@0 c>u .u +u@0 -u");
    assert_heard(&hubs[1], "+v@0 c>v c>u c<u");
    for (char room = 'a'; room < 'e'; room++)
        publish(&hubs[2], room, "1", &ring);
    run_all();
    assert_heard(&hubs[0], "");
}

static void an_end_without_rooms_is_answered(void **state)
{
    (void)state;
    struct fake_session *u = session_new(&hubs[0], "u");
    subscribe(u, 'a', &plain);
    unsubscribe(&u->subs[0]);
    session_end(u);
    run_all();
    assert_heard(&hubs[0], ".u +u@0 -u");
}

static void a_refused_subscribe_can_be_left_too(void **state)
{
    struct sequencer_config c = config();
    (void)state;
    c.driver = &fail_driver;
    restart(c, false);
    struct fake_session *u = session_new(&hubs[0], "u"), *v = session_new(&hubs[0], "v");
    unsubscribe(subscribe(u, 'a', &chat));
    subscribe(v, 'a', &chat);
    session_end(v);
    run_all();
    assert_heard(&hubs[0], "+u!108 -u +v!108 .v");
    assert_int_equal(sequencer_counters(seq)->rooms, 0);
}

/* Every way to spread these steps over turns of the sequencer and looks into the inbox. What must
 * hold for each client is checked by the harness; here, what must hold in the end. */
static void spread(uint32_t pauses, bool end, bool near)
{
    restart(config(), near);
    struct fake_session *u = session_new(&hubs[0], "u"), *v = session_new(&hubs[0], "v");
    struct fake_session *w = session_new(&hubs[1], "w");
    struct fake_sub *first = NULL, *second = NULL, *other = NULL;
    for (int step = 0; step < 8; step++) {
        switch (step) {
        case 0: first = subscribe(u, 'a', &chat); break;
        case 1: publish(&hubs[1], 'a', "1", &ring); break;
        case 2: other = subscribe(w, 'a', &chat); break;
        case 3: end ? session_end(u) : unsubscribe(first); break;
        case 4: publish(&hubs[0], 'a', "2", &ring); break;
        case 5: second = subscribe(v, 'a', &chat); break;
        case 6: publish(&hubs[1], 'a', "3", &ring); break;
        default: unsubscribe(other); break;
        }
        if (pauses >> step & 1)
            (void)seq_turn();
        if (pauses >> step & 1 && step % 2)
            hub_take(&hubs[0]);
    }
    run_all();
    assert_int_equal(second->state, SUB_ACTIVE);
    assert_int_equal(second->at.offset, 3);
    assert_int_equal(first->state, SUB_NONE);
    assert_int_equal(other->state, SUB_NONE);
    buf_clear(&hubs[1].log);
    ask_presence(&hubs[1], 'a', 1000, true);
    run_all();
    assert_heard(&hubs[1], "a?1/1");
}

static void in_every_interleaving_clients_miss_nothing_and_nobody_stays_behind(void **state)
{
    (void)state;
    for (uint32_t pauses = 0; pauses < 256; pauses++)
        for (int variant = 0; variant < 4; variant++)
            spread(pauses, variant & 1, variant & 2);
}

/* ---- recovery ------------------------------------------------------------------------------- */

static void who_comes_back_gets_what_it_missed_or_is_told_that_it_cannot(void **state)
{
    (void)state;
    struct ask ask = brief;
    struct fake_sub *u = subscribe(session_new(&hubs[0], "u"), 'a', &ask);
    publish_many('a', 9, &short_ring);
    run_all();
    buf_clear(&hubs[0].log);
    struct fake_session *v = session_new(&hubs[0], "v");
    ask.recover = true;
    ask.since = u->at;
    static const uint64_t offsets[] = {9, 8, 4, 3, 0, 10, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(offsets); i++) {
        ask.since.offset = offsets[i];
        ask.refuse = i == 4;
        struct fake_sub *sub = subscribe(v, 'a', &ask);
        run_all();
        if (sub->state)
            unsubscribe(sub);
        run_all();
    }
    assert_heard(&hubs[0], "+v@9[] -v +v@9[9] -v +v@9[5,6,7,8,9] -v +v@9 -v +v!112 +v@9 -v "
                           "+v@9 -v");
    ask.refuse = false;
    ask.since = (struct position){.offset = 8, .epoch = "other"};
    subscribe(v, 'a', &ask);
    run_all();
    ask.since.epoch[0] = '\0'; /* an old client that knows none */
    subscribe(session_new(&hubs[0], "w"), 'a', &ask);
    run_all();
    assert_heard(&hubs[0], "+v@9 +w@9[9]");
}

static void history_of_another_epoch_is_refused(void **state)
{
    (void)state;
    publish_many('a', 3, &ring);
    ask_history(&hubs[0], 'a', (struct position){0}, &ring);
    ask_history(&hubs[0], 'a', (struct position){.offset = 2}, &ring);
    ask_history(&hubs[0], 'a', (struct position){.offset = 1, .epoch = "x"}, &ring);
    ask_history(&hubs[0], 'b', (struct position){0}, &none);
    run_all();
    assert_heard(&hubs[0], "a@3[1,2,3] a@3[3] a!112 b!108");
}

/* ---- bounds --------------------------------------------------------------------------------- */

static void when_every_room_is_in_use_another_is_refused(void **state)
{
    struct sequencer_config c = config();
    (void)state;
    c.max_rooms = 3;
    restart(c, false);
    struct fake_session *u = session_new(&hubs[0], "u");
    struct fake_sub *a = subscribe(u, 'a', &plain);
    subscribe(u, 'b', &plain);
    subscribe(u, 'c', &plain);
    run_all();
    subscribe(session_new(&hubs[0], "v"), 'd', &plain);
    publish(&hubs[0], 'd', "1", &ring);
    ask_history(&hubs[0], 'd', (struct position){0}, &ring);
    ask_presence(&hubs[0], 'd', 100, true);
    signal_room(&hubs[0], 'd', "1");
    run_all();
    assert_heard(&hubs[0], "+u@0 +u@0 +u@0 +v!106 !106 d!106 d?0/0 ok");
    unsubscribe(a);
    run_all();
    publish(&hubs[0], 'd', "1", &ring);
    run_all();
    assert_heard(&hubs[0], "-u ok");
    assert_int_equal(sequencer_counters(seq)->rooms, 3);
}

static void the_room_idle_for_longest_is_forgotten_first_and_begins_anew(void **state)
{
    struct sequencer_config c = config();
    (void)state;
    c.max_rooms = 3;
    restart(c, false);
    for (char room = 'a'; room <= 'c'; room++)
        publish_many(room, 2, &ring);
    publish_many('a', 1, &ring); /* so b is idle for longest */
    publish_many('d', 2, &ring);
    ask_history(&hubs[0], 'a', (struct position){0}, &ring);
    run_all();
    ask_history(&hubs[0], 'b', (struct position){0}, &ring);
    run_all();
    assert_heard(&hubs[0], "a@3[1,2,3] b@0");
    assert_int_equal(sequencer_counters(seq)->rooms, 2); /* b, never published to, is not kept */
}

static void a_room_without_a_stream_leaves_nothing_behind(void **state)
{
    (void)state;
    struct fake_sub *u = subscribe(session_new(&hubs[0], "u"), 'a', &streamless);
    publish(&hubs[0], 'b', "1", &none);
    run_all();
    assert_int_equal(sequencer_counters(seq)->rooms, 1);
    unsubscribe(u);
    run_all();
    (void)u;
    assert_int_equal(sequencer_counters(seq)->rooms, 0);
    assert_int_equal(sequencer_counters(seq)->stream_bytes, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_publication_goes_only_to_hubs_that_have_the_room),
        TEST(a_hub_gets_one_push_however_many_of_its_sessions_are_there),
        TEST(a_publisher_hears_its_own_publication_before_the_reply),
        TEST(a_signal_reaches_the_hubs_that_have_the_room_and_is_never_stored),
        TEST(after_the_last_unsubscribe_nothing_more_comes),
        TEST(own_join_comes_after_the_reply_and_leaves_go_to_who_listens),
        TEST(presence_counts_clients_and_users),
        TEST(presence_waits_for_what_its_hub_asked_before),
        TEST(in_a_large_room_nobody_is_told_who_comes_and_goes),
        TEST(who_unsubscribes_while_subscribing_is_in_and_out_again),
        TEST(an_end_waits_for_what_is_under_way_and_is_answered_once),
        TEST(an_end_without_rooms_is_answered),
        TEST(a_refused_subscribe_can_be_left_too),
        TEST(in_every_interleaving_clients_miss_nothing_and_nobody_stays_behind),
        TEST(who_comes_back_gets_what_it_missed_or_is_told_that_it_cannot),
        TEST(history_of_another_epoch_is_refused),
        TEST(when_every_room_is_in_use_another_is_refused),
        TEST(the_room_idle_for_longest_is_forgotten_first_and_begins_anew),
        TEST(a_room_without_a_stream_leaves_nothing_behind),
    };
    map_seed();
    return cmocka_run_group_tests_name("sequencer", tests, NULL, NULL);
}
