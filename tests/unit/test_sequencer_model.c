/* SPDX-License-Identifier: MIT */
/* test_sequencer_model.c: hubs that do anything at any time, and are looked at as their clients see
 * them: a gapless sequence, or a loss that is told.
 *
 * Hub 0 observes: it is never behind and has every room, so it knows the order of everything.
 */
#include "backplane/sequencer.h"

#include "backplane/base/map.h"
#include "tests/unit/late_driver.h"
#include "tests/unit/seq_kit.h"

#define ROUNDS       60
#define STEPS        600
#define BOUND        1500
#define USED_ROOMS   4
#define PUBLICATIONS (STEPS * 5)
#define CLIENTS      4096

static const struct stream_limits limits[USED_ROOMS] = {
    {1000, 1 << 20, 0}, {8, 1 << 20, 0}, {0, 0, 0}, {64, 1 << 20, 0}};

/* What is checked beyond the kit's own checks. */
struct view {
    long seen;     /* streamless rooms: number of the last publication; -1: none yet */
    size_t before; /* … and how many there were when the subscribe was sent, answered */
    size_t answered;
    signed char who[CLIENTS]; /* of a listener: 1 came, -1 went, 0 not heard of */
};

static uint32_t next_data;
static uint32_t content[USED_ROOMS][PUBLICATIONS + 1]; /* by offset; streamless rooms: in order */
static size_t order_count;                             /* publications in the streamless room */
static struct position known[CLIENTS][USED_ROOMS];     /* where a client was when it left */
static struct view *views[65536];
static size_t view_count;
static int unseen; /* publications since the last turn */

static uint32_t number_of(const struct msg *m)
{
    struct span s = between(msg_text(m), "\"data\":\"", " ");
    char text[16] = {0};
    assert_true(s.n < sizeof(text));
    memcpy(text, s.p, s.n);
    return (uint32_t)strtoul(text, NULL, 10);
}

static unsigned client_of(const struct msg *m)
{
    struct span s = between(msg_text(m), "\"client\":\"", "\"");
    char text[CLIENT_ID_LENGTH + 1] = {0};
    memcpy(text, s.p, CLIENT_ID_LENGTH);
    return (unsigned)strtoul(text, NULL, 10) % CLIENTS;
}

static unsigned client_number(const struct fake_session *s)
{
    char text[CLIENT_ID_LENGTH + 1] = {0};
    memcpy(text, s->client->id, CLIENT_ID_LENGTH);
    return (unsigned)strtoul(text, NULL, 10) % CLIENTS;
}

static void hears_of(struct fake_sub *sub, const struct msg *m)
{
    struct view *v = sub->model;
    if (sub->state != SUB_ACTIVE || !sub->listening)
        return;
    signed char *who = &v->who[client_of(m)];
    signed char what = m->kind == MSG_JOIN ? 1 : -1;
    assert_int_not_equal(*who, what);
    *who = what;
}

/* Which publication of the streamless room it is; hub 0 sees each first. */
static long index_of(uint32_t number)
{
    for (size_t i = order_count; i--;)
        if (content[2][i] == number)
            return (long)i;
    fail_msg("publication %u came to a hub before the observer", number);
    return -1;
}

static void takes_unnumbered(struct fake_sub *sub, const struct msg *m)
{
    struct view *v = sub->model;
    if (sub->state != SUB_ACTIVE)
        return;
    long i = index_of(number_of(m));
    if (v->seen < 0)
        assert_true(i >= (long)v->before);
    else
        assert_int_equal(i, v->seen + 1);
    v->seen = i;
}

static void check_push(struct fake_hub *h, int room, const struct msg *m)
{
    if (m->kind == MSG_JOIN || m->kind == MSG_LEAVE) {
        for_subs(h, room, hears_of, m);
        return;
    }
    uint32_t number = number_of(m);
    if (m->offset) {
        uint32_t *at = &content[room][m->offset];
        if (h == &hubs[0] && !*at)
            *at = number;
        assert_int_equal(*at, number);
    } else if (room == 2) {
        if (h == &hubs[0])
            content[2][order_count++] = number;
        for_subs(h, room, takes_unnumbered, m);
    }
}

static void check_subscribed(struct fake_sub *sub, const struct request_subscribe *q)
{
    struct view *v = sub->model;
    const struct stream_limits *l = &limits[sub->room];
    v->answered = order_count;
    if (!q->recover || !l->count)
        return;
    bool same = !q->since.epoch[0] || memcmp(q->since.epoch, q->read.top.epoch, EPOCH_MAX) == 0;
    uint64_t top = q->read.top.offset, kept = top < l->count ? top : l->count;
    bool possible = same && q->since.offset <= top && q->since.offset + kept >= top;
    assert_int_equal(q->recovered, possible);
    for (size_t i = 0; i < q->read.count; i++)
        assert_int_equal(content[sub->room][q->read.pubs[i]->offset], number_of(q->read.pubs[i]));
}

static bool has_room(const struct fake_session *s, int room)
{
    for (size_t i = 0; i < SESSION_ROOMS; i++)
        if (s->subs[i].state && s->subs[i].state != SUB_LEAVING && s->subs[i].room == room)
            return true;
    return false;
}

static bool has_space(const struct fake_session *s)
{
    for (size_t i = 0; i < SESSION_ROOMS; i++)
        if (!s->subs[i].state)
            return true;
    return false;
}

static void join_room(struct fake_session *s, int room, struct ask ask)
{
    if (has_room(s, room) || !has_space(s))
        return;
    struct view *v = calloc(1, sizeof(*v));
    assert_true(v && view_count < COUNT_OF(views));
    views[view_count++] = v;
    v->seen = -1;
    v->before = order_count;
    ask.limits = limits[room];
    subscribe(s, (char)('a' + room), &ask)->model = v;
}

static void leave_room(struct fake_sub *sub)
{
    known[client_number(sub->session)][sub->room] = sub->at;
    unsubscribe(sub);
}

/* A few sessions per hub; some end and others take their place. */
static struct fake_session *any_session(struct fake_hub *h)
{
    if (h->session_count < 4 || one_in(8)) {
        for (size_t i = 0; i < h->session_count; i++)
            if (session_over(h->sessions[i]))
                session_drop(h->sessions[i]);
        if (h->session_count < 12)
            return session_new(h, "u");
    }
    return h->sessions[random_below((uint32_t)h->session_count)];
}

static void act(struct fake_hub *h)
{
    struct fake_session *s = any_session(h);
    int room = (int)random_below(USED_ROOMS);
    if (s->ending)
        return;
    if (one_in(25)) {
        session_end(s);
        return;
    }
    struct fake_sub *sub = &s->subs[random_below(SESSION_ROOMS)];
    bool in = sub->state == SUB_ASKED || sub->state == SUB_ACTIVE || sub->state == SUB_TOLD;
    if (in && one_in(2)) {
        leave_room(sub);
        return;
    }
    struct ask ask = {.presence = one_in(2), .join_leave = one_in(3), .recover = one_in(2)};
    ask.announce = ask.presence;
    ask.since = known[client_number(s)][room];
    join_room(s, room, ask);
}

/* One turn, after which the observer looks first. */
static void turn(void)
{
    (void)seq_turn();
    hub_take(&hubs[0]);
    unseen = 0;
}

static void publish_some(void)
{
    char data[80];
    for (uint32_t n = random_below(5); n; n--) {
        if (++unseen > 4)
            turn(); /* the observer is never behind */
        int room = (int)random_below(USED_ROOMS);
        snprintf(data, sizeof(data), "\"%u %.*s\"", ++next_data, (int)random_below(60),
                 "sixty characters of which some are sent and some are not sent");
        publish(&hubs[random_below(HUBS)], (char)('a' + room), data, &limits[room]);
        if (room != 2 && one_in(10))
            signal_room(&hubs[0], (char)('a' + room), data);
    }
}

static void step(void)
{
    switch (random_below(4)) {
    case 0: publish_some(); break;
    case 1: act(&hubs[1 + random_below(HUBS - 1)]); break;
    case 2: turn(); break;
    default: /* hub 3 seldom looks */
        if (!one_in(3))
            hub_take(&hubs[1 + random_below(2)]);
        else if (one_in(10))
            hub_take(&hubs[3]);
        break;
    }
}

static void check_end(const struct fake_sub *sub, const struct fake_sub *of_observer)
{
    const struct view *v = sub->model;
    if (sub->state != SUB_ACTIVE)
        return;
    if (sub->streamed)
        assert_position(sub->at, of_observer->at.offset, of_observer->at);
    else
        assert_int_equal(v->seen < 0 ? v->answered : (size_t)v->seen + 1, order_count);
}

static uint32_t settled(const struct fake_sub *observers)
{
    uint32_t present[USED_ROOMS] = {0};
    uint32_t active = 0;
    for (size_t h = 1; h < HUBS; h++) {
        for (size_t i = 0; i < hubs[h].session_count; i++) {
            for (size_t j = 0; j < SESSION_ROOMS; j++) {
                struct fake_sub *sub = &hubs[h].sessions[i]->subs[j];
                if (sub->state == SUB_NONE || hubs[h].sessions[i]->ended)
                    continue;
                assert_true(sub->state == SUB_ACTIVE || sub->state == SUB_TOLD);
                check_end(sub, &observers[sub->room]);
                present[sub->room] += sub->present;
                active += sub->state == SUB_ACTIVE;
            }
        }
    }
    buf_clear(&hubs[0].log);
    for (int room = 0; room < USED_ROOMS; room++)
        ask_presence(&hubs[0], (char)('a' + room), 0, true);
    run_all();
    char want[200];
    size_t n = 0;
    for (int room = 0; room < USED_ROOMS; room++)
        n += (size_t)snprintf(want + n, sizeof(want) - n, "%s%c?%u/%u", n ? " " : "", 'a' + room,
                              present[room], present[room] ? 1 : 0);
    assert_heard(&hubs[0], want);
    return active;
}

static void a_round(const struct driver_ops *driver, bool near, uint64_t *behind, uint32_t *active)
{
    struct sequencer_config config = {.driver = driver,
                                      .max_stream_bytes = 64 << 20,
                                      .hub_inbox_bytes = BOUND,
                                      .max_rooms = 1000};
    harness_open(&config, near);
    on_push = check_push;
    on_subscribed = check_subscribed;
    observer = &hubs[0];
    memset(content, 0, sizeof(content));
    memset(known, 0, sizeof(known));
    order_count = 0;
    struct fake_session *o = session_new(&hubs[0], "o");
    for (int room = 0; room < USED_ROOMS; room++)
        join_room(o, room, (struct ask){0});
    run_all();
    for (int i = 0; i < STEPS; i++)
        step();
    turn();
    run_all();
    for (int room = 0; room < USED_ROOMS; room++)
        assert_int_equal(o->subs[room].state, SUB_ACTIVE);
    *active += settled(o->subs);
    *behind += sequencer_counters(seq)->behind;
    harness_close();
    while (view_count)
        free(views[--view_count]);
}

static void rounds(const struct driver_ops *driver)
{
    uint64_t behind = 0;
    uint32_t active = 0;
    random_begin("sequencer model");
    for (int i = 0; i < ROUNDS; i++)
        a_round(driver, i % 4 == 3, &behind, &active);
    printf("behind %llu times, %u subscriptions without loss\n", (unsigned long long)behind,
           active);
    assert_true(behind > ROUNDS); /* else nothing was tried */
    assert_true(active > ROUNDS);
}

static void every_client_gets_a_gapless_sequence_or_is_told(void **state)
{
    (void)state;
    rounds(&local_driver);
}

static void also_if_the_driver_takes_its_time(void **state)
{
    (void)state;
    rounds(&late_driver);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_client_gets_a_gapless_sequence_or_is_told),
        cmocka_unit_test(also_if_the_driver_takes_its_time),
    };
    map_seed();
    return cmocka_run_group_tests_name("sequencer model", tests, NULL, NULL);
}
