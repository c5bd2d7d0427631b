/* SPDX-License-Identifier: MIT */
/* test_followers.c: what driver.h promises of followers, asked of every driver. */
#include "backplane/driver.h"

#include "backplane/base/map.h"
#include "backplane/fail.h"
#include "backplane/local.h"
#include "backplane/push.h"
#include "backplane/redis.h"
#include "tests/unit/driver_kit.h"

static const struct subject subjects[] = {
    {&local_driver, true, true, 0, false},  {&kept_driver, true, false, 0, true},
    {&redis_driver, true, false, 1, false}, {&redis_driver, true, false, 2, false},
    {&fail_driver, false, true, 0, false},
};

#define MANY 100

/* One at a time: what a list answered stays until the next one. */
static struct follow done;

static const struct follow *follow_with(struct follow f, struct stream_ref *room)
{
    if (done.found.next)
        follow_deinit(&done);
    done = f;
    done.max_rooms = f.max_rooms ? f.max_rooms : MANY;
    done.max_users = f.max_users ? f.max_users : MANY;
    done.max_count = f.max_count ? f.max_count : MANY;
    begin_follow(&done, room);
    settle();
    assert_int_equal(count_events(FOLLOWED, &done), 1);
    event_count = 0;
    return &done;
}

/* The i-th line of the list; NULL: it ends before. */
static const struct followed *line(size_t i)
{
    struct list *n = done.found.next;
    for (; i && n != &done.found; i--)
        n = n->next;
    return n == &done.found ? NULL : container_of(n, struct followed, link);
}

static const struct follow *follow(enum follow_verb verb, const char *user, struct stream_ref *room)
{
    return follow_with((struct follow){.verb = verb, .user = span_str(user)}, room);
}

static const struct follow *read_to(const char *user, struct stream_ref *room, struct position at)
{
    return follow_with((struct follow){.verb = FOLLOW_READ, .user = span_str(user), .at = at},
                       room);
}

static struct commit say(const char *user, struct stream_ref *room, bool quiet)
{
    struct commit c = {.sender = span_str(user), .room = room, .limits = roomy};
    watch(room);
    c.msg = push_open(room->name, SPAN("1"), (struct span){0},
                      quiet ? SPAN("\"quiet\":\"1\"") : (struct span){0});
    driver->ops->commit(driver, &c);
    settle();
    assert_int_equal(c.error, OK);
    msg_unref(c.msg);
    return c;
}

static void assert_line(const struct followed *line, const char *name, uint64_t marker,
                        uint64_t top, uint64_t unread)
{
    assert_non_null(line);
    assert_span(((struct span){line->name, line->name_len}), name);
    assert_int_equal(line->marker.offset, marker);
    assert_int_equal(line->top.offset, top);
    if (top) /* else there may be no stream yet */
        assert_memory_equal(line->marker.epoch, line->top.epoch, EPOCH_MAX);
    assert_int_equal(line->unread, unread);
}

/* What both lists say of the one follower of the one room. */
static void assert_stands(const char *user, struct stream_ref *room, uint64_t marker, uint64_t top,
                          uint64_t unread)
{
    const struct follow *f = follow(FOLLOW_ROOMS, user, NULL);
    assert_int_equal(f->error, OK);
    assert_false(f->more || f->partial);
    assert_line(line(0), room->name.p, marker, top, unread);
    assert_null(line(1));
    follow(FOLLOW_USERS, "", room);
    assert_line(line(0), user, marker, top, unread);
    assert_null(line(1));
}

/* ---- of every driver ------------------------------------------------------------------------ */

static void every_verb_completes_once_in_order_and_never_inside_the_call(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct follow f[4 * FOLLOW_ROOMS];
    memset(f, 0, sizeof(f));
    for (size_t i = 0; i < COUNT_OF(f); i++) {
        f[i].verb = (enum follow_verb)(i % FOLLOW_ROOMS);
        f[i].user = SPAN("u");
        f[i].max_rooms = f[i].max_users = MANY;
        begin_follow(&f[i], &room);
    }
    settle();
    size_t next = 0;
    for (size_t i = 0; i < event_count; i++)
        if (events[i].what == FOLLOWED)
            assert_ptr_equal(events[i].operation, &f[next++]);
    assert_int_equal(next, COUNT_OF(f));
    for (size_t i = 0; i < COUNT_OF(f); i++) {
        bool none = f[i].verb == FOLLOW_READ || !subject->streams; /* it has just ended */
        assert_int_equal(f[i].error, none ? ERR_NOT_AVAILABLE : OK);
        assert_int_equal(f[i].changed, !none && f[i].verb != FOLLOW_TOLD);
    }
    forget(&room);
}

static void lists_come_to_an_end_too(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct follow *f = follow(FOLLOW_ROOMS, "u", NULL);
    assert_int_equal(f->error, subject->streams ? OK : ERR_NOT_AVAILABLE);
    assert_null(line(0));
    follow(FOLLOW_USERS, "", &room);
    assert_int_equal(f->error, subject->streams ? OK : ERR_NOT_AVAILABLE);
    assert_null(line(0));
    forget(&room);
}

/* ---- of drivers with streams ---------------------------------------------------------------- */

static void what_others_say_is_unread_and_what_is_quiet_is_not(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit first = say("a", &room, false);
    const struct follow *f = follow(FOLLOW_BEGIN, "u", &room);
    assert_int_equal(f->error, OK);
    assert_true(f->changed);
    assert_position(f->at, 1, first.at);
    assert_stands("u", &room, 1, 1, 0);
    say("a", &room, false);
    say("a", &room, true);
    say("a", &room, true);
    say("", &room, false);
    say("a", &room, true);
    assert_stands("u", &room, 1, 6, 2);
    first.at.offset = 3;
    assert_true(read_to("u", &room, first.at)->changed);
    assert_stands("u", &room, 3, 6, 1);
    first.at.offset = 6;
    assert_true(read_to("u", &room, first.at)->changed);
    assert_stands("u", &room, 6, 6, 0);
    forget(&room);
}

static void ones_own_words_move_a_marker_that_was_at_the_top(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    follow(FOLLOW_BEGIN, "u", &room);
    follow(FOLLOW_BEGIN, "v", &room);
    assert_true(say("u", &room, false).marked);
    assert_true(say("u", &room, false).marked);
    follow(FOLLOW_ROOMS, "u", NULL);
    assert_line(line(0), "r", 2, 2, 0);
    assert_false(say("v", &room, false).marked); /* has not read the two */
    assert_false(say("u", &room, false).marked);
    assert_false(say("w", &room, false).marked);
    follow(FOLLOW_USERS, "", &room);
    assert_line(line(0), "u", 2, 5, 3);
    assert_line(line(1), "v", 0, 5, 5);
    forget(&room);
}

static void a_marker_moves_forward_only_within_its_epoch_and_not_past_the_top(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    follow(FOLLOW_BEGIN, "u", &room);
    struct position at = {0};
    for (int i = 0; i < 5; i++)
        at = say("a", &room, false).at;
    at.offset = 3;
    const struct follow *f = read_to("u", &room, at);
    assert_true(f->changed);
    assert_position(f->at, 3, at);
    struct position other = {.offset = 5, .epoch = "other"};
    f = read_to("u", &room, other);
    assert_int_equal(f->error, OK);
    assert_false(f->changed);
    assert_position(f->at, 3, at);
    at.offset = 2;
    f = read_to("u", &room, at);
    assert_false(f->changed);
    assert_int_equal(f->at.offset, 3);
    assert_stands("u", &room, 3, 5, 2);
    at.offset = UINT32_MAX;
    f = read_to("u", &room, at);
    assert_true(f->changed);
    assert_int_equal(f->at.offset, 5);
    say("a", &room, false);
    f = read_to("u", &room, (struct position){.offset = 6}); /* of whatever epoch there is */
    assert_true(f->changed);
    assert_stands("u", &room, 6, 6, 0);
    forget(&room);
}

static bool tell(const char *const users[2], struct stream_ref *room, struct position at)
{
    const struct span names[2] = {span_str(users[0]), span_str(users[1])};
    const struct follow *f = follow_with(
        (struct follow){.verb = FOLLOW_TOLD, .users = names, .user_count = 2, .at = at}, room);
    assert_int_equal(f->error, OK);
    return f->changed;
}

/* Of the i-th line. */
static void assert_told(size_t i, const char *name, uint64_t told, uint64_t unread, uint64_t untold)
{
    const struct followed *l = line(i);
    assert_non_null(l);
    assert_span(((struct span){l->name, l->name_len}), name);
    assert_int_equal(l->told.offset, told);
    assert_memory_equal(l->told.epoch, l->top.epoch, EPOCH_MAX);
    assert_int_equal(l->unread, unread);
    assert_int_equal(l->untold, untold);
}

static void who_was_told_is_known_apart_from_who_has_read(void **state)
{
    (void)state;
    static const char *const both[] = {"u", "v"}, *const one[] = {"u", "nobody"};
    struct stream_ref room = room_named("r");
    struct position at = {0};
    follow(FOLLOW_BEGIN, "u", &room);
    follow(FOLLOW_BEGIN, "v", &room);
    for (int i = 0; i < 4; i++)
        at = say("a", &room, i == 3).at; /* the fourth is quiet */
    at.offset = 2;
    assert_true(tell(one, &room, at));
    assert_false(tell(one, &room, at));
    follow(FOLLOW_USERS, "", &room);
    assert_told(0, "u", 2, 3, 1);
    assert_told(1, "v", 0, 3, 3);
    assert_null(line(2)); /* nobody became a follower by it */
    at.offset = 1;
    assert_true(tell(both, &room, at)); /* v; nobody's goes back */
    at.offset = 9;
    assert_true(tell(one, &room, at)); /* up to what there is */
    assert_false(tell(both, &room, (struct position){.offset = 9, .epoch = "other"}));
    follow(FOLLOW_USERS, "", &room);
    assert_told(0, "u", 4, 3, 0);
    assert_told(1, "v", 1, 3, 2);
    at.offset = 3;
    assert_true(read_to("v", &room, at)->changed);
    say("a", &room, true);
    follow(FOLLOW_USERS, "", &room);
    assert_told(0, "u", 4, 3, 0); /* of what is quiet nobody is told */
    assert_told(1, "v", 1, 0, 0);
    assert_false(tell((const char *const[]){"v", "v"}, &room, (struct position){0}));
    follow(FOLLOW_END, "u", &room);
    follow(FOLLOW_BEGIN, "u", &room);
    say("a", &room, false);
    follow(FOLLOW_USERS, "", &room);
    assert_told(0, "u", 0, 1, 1);
    forget(&room);
}

static void who_follows_already_keeps_its_marker_and_who_does_not_has_none(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    assert_int_equal(read_to("u", &room, (struct position){.offset = 1})->error, ERR_NOT_AVAILABLE);
    follow(FOLLOW_BEGIN, "u", &room);
    say("a", &room, false);
    const struct follow *f = follow(FOLLOW_BEGIN, "u", &room);
    assert_int_equal(f->error, OK);
    assert_false(f->changed);
    assert_int_equal(f->at.offset, 0);
    assert_stands("u", &room, 0, 1, 1);
    assert_true(follow(FOLLOW_END, "u", &room)->changed);
    assert_false(follow(FOLLOW_END, "u", &room)->changed);
    assert_int_equal(read_to("u", &room, (struct position){.offset = 1})->error, ERR_NOT_AVAILABLE);
    follow(FOLLOW_ROOMS, "u", NULL);
    assert_null(line(0));
    assert_false(say("u", &room, false).marked);
    forget(&room);
}

static void unread_is_what_the_stream_still_holds(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits three = {3, 1 << 20, 0};
    follow(FOLLOW_BEGIN, "u", &room);
    for (int i = 0; i < 40; i++)
        commit_one(&room, "1", &three, (struct idempotency){0});
    assert_stands("u", &room, 0, 40, 3);
    say("a", &room, true); /* room for more from here on */
    assert_stands("u", &room, 0, 41, 3);
    assert_int_equal(remove_all(&room), OK);
    assert_stands("u", &room, 0, 41, 0);
    say("a", &room, false);
    assert_stands("u", &room, 0, 42, 1);
    forget(&room);
}

static void of_many_followers_each_has_its_own_count(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct follow f = {.verb = FOLLOW_BEGIN, .max_users = 150};
    struct position at = say("a", &room, false).at;
    char name[16];
    for (int i = 0; i < 150; i++) { /* times 100 is more than a script looks at */
        (void)snprintf(name, sizeof(name), "u%03d", i);
        f.user = span_str(name);
        follow_with(f, &room);
    }
    for (int i = 0; i < 100; i++)
        say("a", &room, true);
    say("a", &room, false);
    at.offset = 50;
    assert_true(read_to("u000", &room, at)->changed);
    follow_with((struct follow){.verb = FOLLOW_USERS, .max_count = 150}, &room);
    for (size_t i = 0; i < 150; i++) {
        assert_non_null(line(i));
        assert_int_equal(line(i)->marker.offset, i ? 1 : 50);
        assert_int_equal(line(i)->unread, 1);
        assert_int_equal(line(i)->untold, 1);
    }
    forget(&room);
}

static void a_redaction_changes_no_count(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    follow(FOLLOW_BEGIN, "u", &room);
    struct position loud = say("a", &room, false).at, quiet = say("a", &room, true).at;
    assert_int_equal(redact_one(&room, loud), OK);
    assert_int_equal(redact_one(&room, quiet), OK);
    assert_stands("u", &room, 0, 2, 1);
    forget(&room);
}

static void followers_are_bounded_per_user_and_per_room(void **state)
{
    (void)state;
    struct stream_ref rooms[3] = {room_named("a"), room_named("b"), room_named("c")};
    struct follow f = {.verb = FOLLOW_BEGIN, .user = SPAN("u"), .max_rooms = 1, .max_users = 2};
    assert_int_equal(follow_with(f, &rooms[0])->error, OK);
    assert_int_equal(follow_with(f, &rooms[0])->error, OK); /* it is one already */
    enum err e = OK;
    for (size_t i = 1; i < 3 && !e; i++) /* with two servers, two of three are on one */
        e = follow_with(f, &rooms[i])->error;
    assert_int_equal(e, ERR_LIMIT);
    f.user = SPAN("v");
    assert_int_equal(follow_with(f, &rooms[0])->error, OK);
    f.user = SPAN("w");
    assert_int_equal(follow_with(f, &rooms[0])->error, ERR_LIMIT);
    follow(FOLLOW_END, "u", &rooms[0]);
    assert_int_equal(follow_with(f, &rooms[0])->error, OK);
    for (size_t i = 0; i < 3; i++)
        forget(&rooms[i]);
}

static void a_room_without_a_stream_has_no_new_followers(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    follow(FOLLOW_BEGIN, "u", &room);
    for (enum follow_verb v = FOLLOW_BEGIN; v <= FOLLOW_TOLD; v++) {
        struct follow f = {
            .verb = v, .user = SPAN("u"), .room = &room, .max_rooms = 9, .max_users = 9};
        driver->ops->follow(driver, &f);
        settle();
        assert_int_equal(f.error, v == FOLLOW_END ? OK : ERR_NOT_AVAILABLE);
    }
    follow(FOLLOW_USERS, "", &room);
    assert_null(line(0));
    forget(&room);
}

static void lists_come_in_order_a_page_at_a_time(void **state)
{
    (void)state;
    static const char *const names[] = {"A", "a", "a:b", "aa", "b", "z", "\xea\xb0\x80"};
    struct stream_ref rooms[COUNT_OF(names)], room = room_named("of many");
    for (size_t i = COUNT_OF(names); i-- > 0;) {
        rooms[i] = room_named(names[i]);
        follow(FOLLOW_BEGIN, "u", &rooms[i]);
        follow(FOLLOW_BEGIN, names[i], &room);
    }
    for (uint32_t page = 1; page <= COUNT_OF(names) + 1; page++) {
        for (int users = 0; users < 2; users++) {
            struct follow f = {.verb = users ? FOLLOW_USERS : FOLLOW_ROOMS, .max_count = page};
            if (!users)
                f.user = SPAN("u");
            size_t seen = 0;
            do {
                f.after = seen ? span_str(names[seen - 1]) : (struct span){0};
                const struct follow *got = follow_with(f, users ? &room : NULL);
                assert_int_equal(got->error, OK);
                uint32_t n = 0;
                for (const struct followed *l; (l = line(n)); n++)
                    assert_line(l, names[seen++], 0, 0, 0);
                assert_true(n > 0 && n <= page);
                f.more = got->more;
            } while (f.more);
            assert_int_equal(seen, COUNT_OF(names));
        }
    }
    for (size_t i = 0; i < COUNT_OF(names); i++)
        forget(&rooms[i]);
    forget(&room);
}

static void a_follower_is_one_before_the_publication_that_comes_behind_it(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct follow f = {.verb = FOLLOW_BEGIN, .user = SPAN("u"), .max_rooms = 9, .max_users = 9};
    struct follow end = {.verb = FOLLOW_END, .user = SPAN("u")};
    struct commit before = {.sender = SPAN("u")}, during = before, after = before;
    begin_commit(&before, &room, "1", &roomy);
    begin_follow(&f, &room);
    begin_commit(&during, &room, "1", &roomy);
    begin_follow(&end, &room);
    begin_commit(&after, &room, "1", &roomy);
    settle();
    assert_int_equal(f.at.offset, 1);
    assert_true(end.changed);
    assert_false(before.marked || after.marked);
    assert_true(during.marked);
    msg_unref(before.msg);
    msg_unref(during.msg);
    msg_unref(after.msg);
    forget(&room);
}

/* ---- of drivers that keep what they have ----------------------------------------------------- */

static void followers_and_markers_outlive_the_process(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r"), empty = room_named("never published to");
    follow(FOLLOW_BEGIN, "u", &room);
    follow(FOLLOW_BEGIN, "v", &empty);
    struct position at = say("u", &room, false).at;
    say("a", &room, false);
    struct position heard = say("a", &room, true).at;
    say("a", &room, false);
    assert_true(tell((const char *const[]){"u", "v"}, &room, heard));
    forget(&room);
    forget(&empty);
    close_driver();
    open_driver(STREAM_BYTES);
    follow(FOLLOW_ROOMS, "u", NULL); /* before anybody has asked for the room */
    assert_line(line(0), "r", 1, 4, 2);
    assert_memory_equal(line(0)->top.epoch, at.epoch, EPOCH_MAX);
    follow(FOLLOW_ROOMS, "v", NULL);
    assert_non_null(line(0));
    follow(FOLLOW_USERS, "", &room);
    assert_told(0, "u", 3, 2, 1);
    at.offset = 4;
    assert_true(read_to("u", &room, at)->changed);
    assert_true(say("u", &room, false).marked);
    assert_stands("u", &room, 5, 5, 0);
    assert_true(say("v", &empty, false).marked);
    forget(&room);
    forget(&empty);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
#define GROUP(tests)                                                                               \
    cmocka_run_group_tests_name(subject->ops->name, tests, start_server, stop_server)

int main(void)
{
    static const struct CMUnitTest of_every_driver[] = {
        TEST(every_verb_completes_once_in_order_and_never_inside_the_call),
        TEST(lists_come_to_an_end_too),
    };
    static const struct CMUnitTest of_streams[] = {
        TEST(what_others_say_is_unread_and_what_is_quiet_is_not),
        TEST(ones_own_words_move_a_marker_that_was_at_the_top),
        TEST(a_marker_moves_forward_only_within_its_epoch_and_not_past_the_top),
        TEST(who_was_told_is_known_apart_from_who_has_read),
        TEST(who_follows_already_keeps_its_marker_and_who_does_not_has_none),
        TEST(unread_is_what_the_stream_still_holds),
        TEST(of_many_followers_each_has_its_own_count),
        TEST(a_redaction_changes_no_count),
        TEST(followers_are_bounded_per_user_and_per_room),
        TEST(a_room_without_a_stream_has_no_new_followers),
        TEST(lists_come_in_order_a_page_at_a_time),
        TEST(a_follower_is_one_before_the_publication_that_comes_behind_it),
    };
    static const struct CMUnitTest of_keepers[] = {
        TEST(followers_and_markers_outlive_the_process),
    };
    int failed = 0;
    map_seed();
    for (size_t i = 0; i < COUNT_OF(subjects); i++) {
        subject = &subjects[i];
        failed += GROUP(of_every_driver);
        if (subject->streams)
            failed += GROUP(of_streams);
        if (subject->streams && !subject->memory)
            failed += GROUP(of_keepers);
    }
    return failed;
}
