/* SPDX-License-Identifier: MIT */
/* test_seq_shared.c: what gateways share, over a driver that answers when the test says: no answer
 * that was asked for before something happened is taken for what is known of it. */
#include "backplane/base/map.h"
#include "tests/unit/far_driver.h"

static const struct ask here = {.presence = true, .announce = true};

static const struct driver_events *tell(void)
{
    return far()->base.config.events;
}

static bool is_asked(enum share_verb verb)
{
    return far()->asked[verb] != NULL;
}

static int start_sharing(void **state)
{
    (void)state;
    start_far(NULL);
    return 0;
}

/* ---- connections ---------------------------------------------------------------------------- */

/* A connection of the user, who may have one only. */
static void arrive(struct fake_hub *h, struct tenant *t, const char *user)
{
    struct request_arrive *q = calloc(1, sizeof(*q) + strlen(user));
    char *at = q->name;
    q->user = span_copy(&at, span_str(user));
    q->tenant = t;
    q->single = true;
    post(h, &q->request, REQUEST_ARRIVE);
}

static void depart(struct fake_hub *h, struct tenant *t)
{
    struct request_depart *q = calloc(1, sizeof(*q));
    q->tenant = t;
    post(h, &q->request, REQUEST_DEPART);
}

static void answer_claim(struct span got)
{
    struct span words[] = {got, SPAN("1000"), SPAN("1")};
    far_answer(SHARE_CLAIM, words, COUNT_OF(words));
}

static void a_claim_older_than_a_doubt_is_made_anew(void **state)
{
    struct tenant t = {0};
    (void)state;
    far_keep(SHARE_CLAIM);
    arrive(&hubs[0], &t, "u");
    run_all();
    tell()->hearing(seq); /* somebody elsewhere may have outnumbered it unheard */
    answer_claim(SPAN("1"));
    run_all();
    assert_heard(&hubs[0], "ok");
    assert_true(is_asked(SHARE_CLAIM));
    answer_claim(SPAN("0"));
    assert_false(is_asked(SHARE_CLAIM));
    depart(&hubs[0], &t);
    run_all();
    assert_heard(&hubs[0], "ok");
}

/* ---- gateways ------------------------------------------------------------------------------- */

static void ask_rooms(struct fake_hub *h, uint64_t patience_ms)
{
    struct request_rooms *q = calloc(1, sizeof(*q));
    q->max_bytes = 1 << 20;
    q->patience_ms = patience_ms;
    post(h, &q->request, REQUEST_ROOMS);
}

/* Until the hub has heard something. */
static void await(struct fake_hub *h)
{
    while (!h->log.n) {
        uv_run(&seq_loop.uv, UV_RUN_ONCE);
        hub_take(h);
    }
}

static void who_asks_for_rooms_waits_for_a_look_that_is_not_older(void **state)
{
    const struct span alone[] = {SPAN("0"), SPAN("0"), SPAN("n"), SPAN("{}")};
    const struct span two[] = {SPAN("0"), SPAN("0"), SPAN("n"), SPAN("{}"), SPAN("m"), SPAN("{}")};
    (void)state;
    far_keep(SHARE_BEAT);
    far_keep(SHARE_SIGNAL);
    ask_rooms(&hubs[0], 1);
    await(&hubs[0]);
    assert_heard(&hubs[0], "rooms!100"); /* it took too long */
    assert_true(is_asked(SHARE_BEAT));
    ask_rooms(&hubs[0], 60000);
    seq_run();
    far_answer(SHARE_BEAT, alone, COUNT_OF(alone)); /* as it was for the first one */
    run_all();
    assert_heard(&hubs[0], "");
    far_answer(SHARE_BEAT, two, COUNT_OF(two));
    assert_true(is_asked(SHARE_SIGNAL)); /* the other one is asked */
    far_fail(SHARE_SIGNAL);
    run_all();
    assert_heard(&hubs[0], "rooms!100");
}

/* What it would remember of the other gateway would be left over. */
static void a_beat_answered_while_all_ends_is_of_no_use_any_more(void **state)
{
    (void)state;
    far_keep(SHARE_BEAT);
    tell()->returned(seq);
    assert_true(is_asked(SHARE_BEAT));
    far()->parting = true;
}

/* ---- members -------------------------------------------------------------------------------- */

static void enter(char room, const char *name)
{
    subscribe(session_new(&hubs[0], name), room, &here);
    run_all();
    far_answer(SHARE_ENTER, NULL, 0);
}

static void what_a_server_has_forgotten_of_members_is_made_good(void **state)
{
    const struct span ghost[] = {SPAN("gone")};
    static const enum share_verb verbs[] = {SHARE_ENTER, SHARE_LEAVE, SHARE_OWN};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        far_keep(verbs[i]);
    enter('r', "u");
    tell()->forgot(seq);
    far_answer(SHARE_OWN, ghost, 1);
    assert_true(is_asked(SHARE_LEAVE) && is_asked(SHARE_ENTER)); /* who is not here; who is */
    far_answer(SHARE_LEAVE, NULL, 0);
    far_answer(SHARE_ENTER, NULL, 0);
    session_end(hubs[0].sessions[0]);
    run_all();
    far_answer(SHARE_LEAVE, NULL, 0);
    tell()->forgot(seq); /* that it left, too */
    far_answer(SHARE_OWN, ghost, 1);
    far_answer(SHARE_LEAVE, NULL, 0);
    assert_false(is_asked(SHARE_OWN));
}

#define SHARED(f) cmocka_unit_test_setup_teardown(f, start_sharing, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SHARED(a_claim_older_than_a_doubt_is_made_anew),
        SHARED(who_asks_for_rooms_waits_for_a_look_that_is_not_older),
        SHARED(a_beat_answered_while_all_ends_is_of_no_use_any_more),
        SHARED(what_a_server_has_forgotten_of_members_is_made_good),
    };
    map_seed();
    return cmocka_run_group_tests_name("seq shared", tests, NULL, NULL);
}
