/* SPDX-License-Identifier: MIT */
#include "rooms/room.h"

#include "tests/unit/core_kit.h"

#define SUBS 40
/* Rooms give up what waits past these; most tests stay below. */
#define MAX_BYTES (256 * 1024)
#define MAX_MS    10000

struct fake_sub {
    struct sub sub;
    uint32_t got[64]; /* numbers of the pushes, in order */
    uint32_t count;
    uint32_t due[64]; /* what the model says */
    uint32_t due_count;
};

static struct rooms rooms;
static struct room *room;
static struct fake_sub subs[SUBS];
static uint32_t deliveries, lost_count, lost_due;
static const struct room *last_lost;

/* The number in each line of a frame: pushes are `{"push":{…"data":N}}…`. */
static void deliver(void *owner, struct sub *s, struct msg *frame)
{
    struct fake_sub *f = container_of(s, struct fake_sub, sub);
    assert_ptr_equal(owner, &rooms);
    assert_true(frame->head > 0);
    deliveries++;
    struct span text = msg_text(frame);
    for (const char *line = text.p, *end = text.p + text.n; line < end;) {
        const char *at = memmem(line, (size_t)(end - line), "\"data\":", 7);
        assert_non_null(at);
        assert_true(f->count < COUNT_OF(f->got));
        f->got[f->count++] = (uint32_t)strtoul(at + 7, NULL, 10);
        const char *next = memchr(line, '\n', (size_t)(end - line));
        line = next ? next + 1 : end;
        assert_true(!next || line < end); /* no empty lines */
    }
}

static void forget(void *owner, struct sub *s)
{
    (void)owner;
    (void)s;
}

static void lost(void *owner, struct room *r)
{
    assert_ptr_equal(owner, &rooms);
    lost_count++;
    last_lost = r;
    room_deactivate_all(r, forget, NULL);
}

static const struct rooms_events events = {deliver, lost};

static int start(void **state)
{
    (void)state;
    rooms_init(&rooms, &events, &rooms, MAX_BYTES, MAX_MS);
    room = rooms_hold(&rooms, SPAN("r"));
    memset(subs, 0, sizeof(subs));
    for (int i = 0; i < SUBS; i++)
        subs[i].sub.room = room;
    deliveries = lost_count = lost_due = 0;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (int i = 0; i < SUBS; i++)
        sub_deactivate(&subs[i].sub);
    assert_int_equal(lost_count, lost_due);
    rooms_release(&rooms, room);
    assert_int_equal(rooms.count, 0);
    rooms_deinit(&rooms);
    return 0;
}

static void push_kind(struct room *r, uint32_t n, enum msg_kind kind)
{
    char data[16];
    snprintf(data, sizeof(data), "%u", n);
    struct msg *m = sealed("r", data, 0);
    m->kind = (uint8_t)kind;
    rooms_push(&rooms, r, m);
    msg_unref(m);
}

static void push(uint32_t n)
{
    push_kind(room, n, MSG_PUBLICATION);
}

static void flush_all(void)
{
    for (int i = 0; rooms_flush(&rooms, 1000000); i++)
        assert_true(i < 1000);
}

static void activate(struct fake_sub *f, enum sub_class class)
{
    assert_true(sub_activate(&f->sub, class));
}

#define assert_got(f, ...)                                                                         \
    do {                                                                                           \
        const uint32_t want_[] = {__VA_ARGS__};                                                    \
        assert_int_equal((f)->count, COUNT_OF(want_));                                             \
        assert_memory_equal((f)->got, want_, sizeof(want_));                                       \
    } while (0)

/* ---- life ----------------------------------------------------------------------------------- */

static void a_room_exists_while_it_is_held(void **state)
{
    (void)state;
    struct room *again = rooms_hold(&rooms, SPAN("r"));
    struct room *other = rooms_hold(&rooms, SPAN("s"));
    assert_ptr_equal(again, room);
    assert_ptr_not_equal(other, room);
    assert_span(room_name(other), "s");
    assert_int_equal(rooms.count, 2);
    rooms_release(&rooms, room);
    assert_ptr_equal(rooms_find(&rooms, SPAN("r")), room);
    rooms_release(&rooms, other);
    assert_null(rooms_find(&rooms, SPAN("s")));
    assert_null(rooms_find(&rooms, SPAN("rr")));
}

static void a_room_that_is_let_go_drops_what_it_had_to_send(void **state)
{
    (void)state;
    struct room *other = rooms_hold(&rooms, SPAN("s"));
    subs[0].sub.room = other;
    activate(&subs[0], CLASS_PLAIN);
    push_kind(other, 1, MSG_PUBLICATION);
    sub_deactivate(&subs[0].sub);
    rooms_release(&rooms, other);
    subs[0].sub.room = room;
    assert_false(rooms_flush(&rooms, 10));
    assert_int_equal(deliveries, 0);
}

static void a_push_into_a_room_without_subscribers_costs_nothing(void **state)
{
    (void)state;
    push(1);
    assert_true(list_empty(&rooms.dirty));
    assert_true(list_empty(&room->batches));
}

/* ---- who gets what -------------------------------------------------------------------------- */

static void pushes_of_a_turn_leave_as_one_frame(void **state)
{
    (void)state;
    activate(&subs[0], CLASS_PLAIN);
    activate(&subs[1], CLASS_PLAIN);
    push(1);
    push(2);
    push(3);
    flush_all();
    assert_int_equal(deliveries, 2);
    assert_got(&subs[0], 1, 2, 3);
    assert_got(&subs[1], 1, 2, 3);
}

static void joins_and_leaves_go_only_to_who_asked_for_them(void **state)
{
    (void)state;
    activate(&subs[0], CLASS_PLAIN);
    activate(&subs[1], CLASS_JOIN_LEAVE);
    push_kind(room, 1, MSG_JOIN);
    flush_all();
    push_kind(room, 2, MSG_JOIN);
    push(3);
    push_kind(room, 4, MSG_LEAVE);
    push(5);
    flush_all();
    assert_got(&subs[0], 3, 5);
    assert_got(&subs[1], 1, 2, 3, 4, 5);
    assert_int_equal(deliveries, 3);
}

static void a_subscriber_gets_nothing_from_before_its_activation(void **state)
{
    (void)state;
    activate(&subs[0], CLASS_PLAIN);
    push(1);
    activate(&subs[1], CLASS_PLAIN);
    push(2);
    flush_all();
    activate(&subs[2], CLASS_PLAIN);
    flush_all();
    assert_got(&subs[0], 1, 2);
    assert_got(&subs[1], 2);
    assert_int_equal(subs[2].count, 0);
}

static void a_subscriber_gets_nothing_after_its_deactivation(void **state)
{
    (void)state;
    activate(&subs[0], CLASS_PLAIN);
    activate(&subs[1], CLASS_PLAIN);
    push(1);
    sub_deactivate(&subs[0].sub);
    sub_deactivate(&subs[0].sub); /* harmless */
    flush_all();
    assert_int_equal(subs[0].count, 0);
    assert_got(&subs[1], 1);
    activate(&subs[0], CLASS_JOIN_LEAVE); /* and may come again */
    push(2);
    flush_all();
    assert_got(&subs[0], 2);
}

static void the_number_of_a_batch_may_wrap(void **state)
{
    (void)state;
    room->next_number = UINT32_MAX - 1;
    activate(&subs[0], CLASS_PLAIN);
    for (uint32_t i = 0; i < 5; i++) {
        push(i);
        activate(&subs[1 + i], CLASS_PLAIN); /* closes the batch */
    }
    flush_all();
    assert_got(&subs[0], 0, 1, 2, 3, 4);
    assert_got(&subs[3], 3, 4);
    assert_int_equal(subs[5].count, 0);
}

/* ---- the bounded flush ---------------------------------------------------------------------- */

static void a_flush_stops_after_its_bound_and_goes_on_there(void **state)
{
    (void)state;
    for (int i = 0; i < SUBS; i++)
        activate(&subs[i], i % 2 ? CLASS_PLAIN : CLASS_JOIN_LEAVE);
    push(1);
    for (uint32_t sent = 7; sent < SUBS; sent += 7) {
        assert_true(rooms_flush(&rooms, 7));
        assert_int_equal(deliveries, sent);
        if (sent == 14)
            push(2); /* goes into the next batch */
    }
    flush_all();
    assert_int_equal(deliveries, 2 * SUBS);
    for (int i = 0; i < SUBS; i++)
        assert_got(&subs[i], 1, 2);
}

/* One delivery each, in the order of the rooms. */
static void a_huge_room_does_not_hold_up_a_small_one(void **state)
{
    (void)state;
    struct fake_sub *many = calloc(2000, sizeof(*many));
    struct room *small = rooms_hold(&rooms, SPAN("s"));
    for (int i = 0; i < 2000; i++) {
        many[i].sub.room = room;
        activate(&many[i], CLASS_PLAIN);
    }
    subs[0].sub.room = small;
    activate(&subs[0], CLASS_PLAIN);
    push(1);
    push_kind(small, 2, MSG_PUBLICATION);
    assert_true(rooms_flush(&rooms, 512));
    assert_got(&subs[0], 2);
    assert_in_range(deliveries, 512, 513);
    flush_all();
    assert_int_equal(deliveries, 2001);
    for (int i = 0; i < 2000; i++) {
        assert_got(&many[i], 1);
        sub_deactivate(&many[i].sub);
    }
    sub_deactivate(&subs[0].sub);
    subs[0].sub.room = room;
    rooms_release(&rooms, small);
    free(many);
}

static void a_room_whose_pushes_never_end_shares_with_the_others(void **state)
{
    (void)state;
    struct room *small = rooms_hold(&rooms, SPAN("s"));
    subs[0].sub.room = small;
    for (int i = 0; i < SUBS; i++)
        activate(&subs[i], CLASS_PLAIN);
    for (uint32_t i = 0; i < 30; i++) {
        push(i);
        rooms_flush(&rooms, 4);
        push_kind(small, i, MSG_PUBLICATION);
        for (int j = 1; j < SUBS; j++)
            subs[j].count = 0;
    }
    assert_true(subs[0].count >= 5);
    flush_all();
    assert_int_equal(subs[0].count, 30);
    sub_deactivate(&subs[0].sub);
    subs[0].sub.room = room;
    rooms_release(&rooms, small);
}

/* ---- the property --------------------------------------------------------------------------- */

static uint32_t next_push;

static void model_push(void)
{
    bool presence = one_in(3);
    push_kind(room, next_push, presence ? MSG_JOIN : MSG_PUBLICATION);
    for (int i = 0; i < SUBS; i++) {
        struct fake_sub *f = &subs[i];
        if (f->sub.active && (!presence || f->sub.class == CLASS_JOIN_LEAVE))
            f->due[f->due_count++] = next_push;
    }
    next_push++;
}

/* What it got is the beginning of what it should get; all of it if everything was flushed. */
static void check_model(struct fake_sub *f, bool all)
{
    assert_true(f->count <= f->due_count);
    assert_memory_equal(f->got, f->due, f->count * sizeof(*f->got));
    if (all)
        assert_int_equal(f->count, f->due_count);
}

static void leave_model(struct fake_sub *f)
{
    check_model(f, false);
    sub_deactivate(&f->sub);
    f->count = f->due_count = 0;
}

static void a_model_step(void)
{
    struct fake_sub *f = &subs[random_below(SUBS)];
    switch (random_below(4)) {
    case 0:
        if (f->due_count < 60)
            model_push();
        break;
    case 1:
        if (!f->sub.active)
            activate(f, one_in(2) ? CLASS_PLAIN : CLASS_JOIN_LEAVE);
        break;
    case 2:
        if (f->sub.active && one_in(2))
            leave_model(f);
        break;
    default: (void)rooms_flush(&rooms, 1 + random_below(SUBS)); break;
    }
}

static bool nearly_full(void)
{
    for (int i = 0; i < SUBS; i++)
        if (subs[i].due_count >= 60)
            return true;
    return false;
}

static void each_gets_exactly_what_came_between_its_coming_and_going(void **state)
{
    (void)state;
    random_begin("room");
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 300 && !nearly_full(); i++)
            a_model_step();
        flush_all();
        for (int i = 0; i < SUBS; i++) {
            struct fake_sub *f = &subs[i];
            if (f->sub.active)
                check_model(f, true);
            if (f->sub.active && one_in(2))
                leave_model(f);
            f->count = f->due_count = 0;
        }
    }
}

/* Every cursor position, every subscriber that comes or goes there. */
static void a_change_at_any_place_of_a_partial_flush_harms_nobody(void **state)
{
    (void)state;
    for (uint32_t at = 0; at <= 6; at++) {
        for (int who = 0; who < 8; who++) {
            for (int i = 0; i < 6; i++)
                activate(&subs[i], i < 3 ? CLASS_PLAIN : CLASS_JOIN_LEAVE);
            push(1);
            if (at)
                (void)rooms_flush(&rooms, at);
            bool had = who < 6 && subs[who].count;
            if (who < 6)
                sub_deactivate(&subs[who].sub);
            else
                activate(&subs[who], who == 6 ? CLASS_PLAIN : CLASS_JOIN_LEAVE);
            push(2);
            flush_all();
            for (int i = 0; i < 6; i++) {
                if (i != who)
                    assert_got(&subs[i], 1, 2);
                else
                    assert_int_equal(subs[i].count, had);
            }
            if (who >= 6)
                assert_got(&subs[who], 2);
            for (int i = 0; i < 8; i++) {
                sub_deactivate(&subs[i].sub);
                subs[i].count = 0;
            }
        }
    }
}

static void taking_everybody_out_names_each_once(void **state)
{
    (void)state;
    for (int i = 0; i < SUBS; i++)
        activate(&subs[i], i % 2 ? CLASS_PLAIN : CLASS_JOIN_LEAVE);
    push(1);
    (void)rooms_flush(&rooms, 10);
    assert_int_equal(room_active(room), SUBS);
    room_deactivate_all(room, forget, NULL);
    assert_int_equal(room_active(room), 0);
    flush_all();
    assert_int_equal(deliveries, 10);
    for (int i = 0; i < SUBS; i++)
        assert_false(subs[i].sub.active);
}

/* ---- more than can be sent ------------------------------------------------------------------ */

static void push_bytes(struct room *r, size_t n)
{
    struct msg *m = msg_new(n);
    for (size_t i = 0; i < n; i++)
        msg_lit(m, "x");
    msg_seal(m);
    rooms_push(&rooms, r, m);
    msg_unref(m);
}

static void past_the_bound_the_fullest_room_gives_up_and_is_told(void **state)
{
    (void)state;
    struct sub small = {.room = rooms_hold(&rooms, SPAN("small"))};
    assert_true(sub_activate(&small, CLASS_PLAIN));
    for (int i = 0; i < SUBS; i++)
        activate(&subs[i], CLASS_PLAIN);
    push_bytes(small.room, 1000);
    for (int i = 0; !lost_count; i++) {
        assert_true(i < MAX_BYTES / 10000 + 1);
        assert_in_range(rooms.bytes, 1000, MAX_BYTES);
        push_bytes(room, 10000);
    }
    push_bytes(small.room, 1000); /* now it may be the fullest */
    lost_due = 1;
    assert_ptr_equal(last_lost, room);
    assert_int_equal(room_active(room), 0);
    assert_int_equal(room_active(small.room), 1);
    assert_in_range(rooms.bytes, 2000, 3000);
    assert_int_equal(room->bytes, 0);
    room_deactivate_all(small.room, forget, NULL);
    flush_all();
    assert_int_equal(deliveries, 0);
    assert_int_equal(rooms.bytes, 0);
    rooms_release(&rooms, small.room);
}

static void where_nothing_waits_anything_may(void **state)
{
    (void)state;
    activate(&subs[0], CLASS_PLAIN);
    push_bytes(room, 2 * MAX_BYTES);
    assert_int_equal(lost_count, 0);
    push_bytes(room, 1);
    assert_int_equal(lost_count, 1);
    lost_due = 1;
    assert_int_equal(rooms.bytes, 0);
}

static void what_has_waited_too_long_is_given_up(void **state)
{
    (void)state;
    for (int i = 0; i < SUBS; i++)
        activate(&subs[i], CLASS_PLAIN);
    rooms.now_ms = 5;
    push(1);
    assert_true(rooms_flush(&rooms, 10));
    push(2);
    rooms.now_ms = 5 + MAX_MS;
    assert_true(rooms_flush(&rooms, 10));
    assert_int_equal(lost_count, 0);
    rooms.now_ms++;
    assert_false(rooms_flush(&rooms, 10));
    assert_int_equal(lost_count, 1);
    lost_due = 1;
    assert_int_equal(deliveries, 20);
    assert_int_equal(rooms.bytes, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_room_exists_while_it_is_held),
        TEST(a_room_that_is_let_go_drops_what_it_had_to_send),
        TEST(a_push_into_a_room_without_subscribers_costs_nothing),
        TEST(pushes_of_a_turn_leave_as_one_frame),
        TEST(joins_and_leaves_go_only_to_who_asked_for_them),
        TEST(a_subscriber_gets_nothing_from_before_its_activation),
        TEST(a_subscriber_gets_nothing_after_its_deactivation),
        TEST(the_number_of_a_batch_may_wrap),
        TEST(a_flush_stops_after_its_bound_and_goes_on_there),
        TEST(a_huge_room_does_not_hold_up_a_small_one),
        TEST(a_room_whose_pushes_never_end_shares_with_the_others),
        TEST(each_gets_exactly_what_came_between_its_coming_and_going),
        TEST(a_change_at_any_place_of_a_partial_flush_harms_nobody),
        TEST(taking_everybody_out_names_each_once),
        TEST(past_the_bound_the_fullest_room_gives_up_and_is_told),
        TEST(where_nothing_waits_anything_may),
        TEST(what_has_waited_too_long_is_given_up),
    };
    map_seed();
    return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
