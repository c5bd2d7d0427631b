/* SPDX-License-Identifier: MIT */
#include "backplane/seq_room.h"

#include "backplane/driver.h"
#include "tests/unit/core_kit.h"

/* A driver that keeps nothing and writes down what is forgotten. */
static char forgotten[256];

static void forget(struct driver *d, struct stream_ref *room)
{
    (void)d;
    strncat(forgotten, room->name.p, room->name.n);
    room->state = NULL;
}

static const struct driver_ops ops = {.name = "test", .forget = forget};
static struct driver driver = {.ops = &ops};
static struct seq_rooms rooms;

static void open_table(uint32_t max)
{
    seq_rooms_init(&rooms, &driver, max);
    rooms.hubs = 3;
    forgotten[0] = '\0';
}

static struct seq_room *hold(const char *name)
{
    return seq_rooms_hold(&rooms, span_str(name));
}

/* A room that has been used once: with a stream, and perhaps with a publication in it. */
static void used(const char *name, uint64_t top)
{
    struct seq_room *r = hold(name);
    assert_non_null(r);
    r->ref.state = &driver;
    if (top)
        r->top.offset = top;
    seq_room_release(&rooms, r);
}

static void close_table(const char *expected)
{
    assert_string_equal(forgotten, expected);
    seq_rooms_deinit(&rooms);
    assert_null(rooms.map);
}

static void a_room_is_found_by_its_name_and_knows_its_hubs(void **state)
{
    (void)state;
    open_table(10);
    char name[] = "abc";
    struct seq_room *r = hold(name);
    memset(name, 'x', 3); /* the room has its own copy */
    assert_span(r->ref.name, "abc");
    assert_ptr_equal(seq_rooms_find(&rooms, SPAN("abc")), r);
    assert_null(seq_rooms_find(&rooms, SPAN("ab")));
    assert_null(seq_rooms_find(&rooms, SPAN("")));
    assert_ptr_equal(hold("abc"), r);
    assert_int_equal(rooms.count, 1);
    for (uint32_t i = 0; i < rooms.hubs; i++)
        assert_ptr_equal(r->hubs[i].room, r);
    seq_room_release(&rooms, r);
    assert_ptr_equal(seq_rooms_find(&rooms, SPAN("abc")), r); /* still held once */
    seq_room_release(&rooms, r);
    close_table("abc");
}

static void a_room_without_a_stream_goes_when_it_is_let_go(void **state)
{
    (void)state;
    open_table(10);
    struct seq_room *r = hold("a");
    r->watchers = 1;
    seq_room_release(&rooms, r);
    assert_int_equal(rooms.count, 1);
    assert_ptr_equal(hold("a"), r);
    r->watchers = 0;
    seq_room_release(&rooms, r);
    assert_int_equal(rooms.count, 0);
    close_table("a");
}

static void space_is_made_by_forgetting_the_longest_idle(void **state)
{
    (void)state;
    open_table(3);
    used("a", 1);
    used("b", 1);
    used("c", 1);
    used("a", 0); /* again: b is now idle for longest */
    used("d", 1);
    used("e", 1);
    assert_int_equal(rooms.count, 3);
    close_table("bc");
}

static void rooms_in_use_are_never_forgotten(void **state)
{
    (void)state;
    open_table(2);
    struct seq_room *a = hold("a"), *b = hold("b");
    assert_null(hold("c"));
    a->ref.state = &driver;
    a->top.offset = 1;
    a->watchers = 1;
    seq_room_release(&rooms, a);
    assert_null(hold("c"));
    assert_ptr_equal(hold("a"), a); /* those that exist are found all the same */
    a->watchers = 0;
    seq_room_release(&rooms, a);
    struct seq_room *c = hold("c");
    assert_non_null(c);
    seq_room_release(&rooms, b);
    seq_room_release(&rooms, c);
    close_table("abc");
}

/* Whoever subscribes to names at random must not drive out rooms with messages. */
static void rooms_never_published_to_take_up_a_tenth_and_go_first(void **state)
{
    (void)state;
    open_table(20);
    used("A", 1);
    for (char c = 'a'; c <= 'e'; c++)
        used((char[]){c, '\0'}, 0);
    assert_int_equal(rooms.empty_count, 2);
    assert_int_equal(rooms.count, 3);
    assert_string_equal(forgotten, "abc");
    for (char c = 'B'; c <= 'T'; c++) /* d and e go before A does */
        used((char[]){c, '\0'}, 1);
    assert_string_equal(forgotten, "abcde");
    assert_int_equal(rooms.empty_count, 0);
    used("U", 1);
    close_table("abcdeA");
}

static void an_empty_room_that_is_held_again_is_not_counted_as_empty(void **state)
{
    (void)state;
    open_table(10);
    used("a", 0);
    assert_int_equal(rooms.empty_count, 1);
    used("a", 1);
    assert_int_equal(rooms.empty_count, 0);
    used("b", 0);
    used("a", 0);
    assert_int_equal(rooms.empty_count, 1);
    close_table("");
}

/* Everything that a walk meets, from here on. */
static void walk_on(struct seq_walk *w, char *names)
{
    struct seq_room *r;
    while ((r = seq_walk_next(w)))
        strncat(names, r->ref.name.p, r->ref.name.n);
}

static void a_walk_meets_every_room_that_stays(void **state)
{
    (void)state;
    open_table(10);
    struct seq_walk first, second;
    char names[64] = "";
    for (const char *p = "a\0b\0c\0d\0e\0"; *p; p += 2)
        (void)hold(p);
    seq_walk_begin(&rooms, &first);
    seq_walk_begin(&rooms, &second);
    assert_span(seq_walk_next(&first)->ref.name, "a");
    seq_room_release(&rooms, seq_rooms_find(&rooms, SPAN("b"))); /* both would meet it, one next */
    seq_room_release(&rooms, seq_rooms_find(&rooms, SPAN("a")));
    (void)hold("f");
    walk_on(&first, names);
    assert_string_equal(names, "cdef");
    seq_room_release(&rooms, seq_rooms_find(&rooms, SPAN("f")));
    names[0] = '\0';
    walk_on(&second, names);
    assert_string_equal(names, "cde");
    seq_walk_end(&first);
    seq_walk_end(&second);
    assert_true(list_empty(&rooms.walks));
    for (const char *p = "c\0d\0e\0"; *p; p += 2)
        seq_room_release(&rooms, seq_rooms_find(&rooms, span_str(p)));
    close_table("bafcde");
}

static void a_walk_through_nothing_ends_at_once(void **state)
{
    (void)state;
    open_table(10);
    struct seq_walk w;
    seq_walk_begin(&rooms, &w);
    assert_null(seq_walk_next(&w));
    assert_null(seq_walk_next(&w));
    seq_walk_end(&w);
    (void)hold("a");
    seq_walk_begin(&rooms, &w);
    seq_room_release(&rooms, seq_rooms_find(&rooms, SPAN("a")));
    assert_null(seq_walk_next(&w));
    seq_walk_end(&w);
    close_table("a");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_is_found_by_its_name_and_knows_its_hubs),
        cmocka_unit_test(a_room_without_a_stream_goes_when_it_is_let_go),
        cmocka_unit_test(space_is_made_by_forgetting_the_longest_idle),
        cmocka_unit_test(rooms_in_use_are_never_forgotten),
        cmocka_unit_test(rooms_never_published_to_take_up_a_tenth_and_go_first),
        cmocka_unit_test(an_empty_room_that_is_held_again_is_not_counted_as_empty),
        cmocka_unit_test(a_walk_meets_every_room_that_stays),
        cmocka_unit_test(a_walk_through_nothing_ends_at_once),
    };
    map_seed();
    return cmocka_run_group_tests_name("seq_room", tests, NULL, NULL);
}
