/* SPDX-License-Identifier: MIT */
/* test_driver_shared.c: what gateways share beside streams, asked of every driver that shares: two
 * gateways, `driver` and `peer`, that see what the other does. */
#include "backplane/driver.h"

#include "backplane/base/map.h"
#include "backplane/fail.h"
#include "backplane/local.h"
#include "tests/unit/driver_kit.h"

#define ROOMS      8 /* as many as to be on every server */
#define ANSWER_MAX 32
#define LEASE      "60000"

static const struct subject subjects[] = {
    {&local_driver, true, true, 0, false},  {&kept_driver, true, false, 0, true},
    {&fail_driver, false, true, 0, false},  {&redis_driver, true, false, 1, false},
    {&redis_driver, true, false, 2, false},
};

/* ---- the other gateway ---------------------------------------------------------------------- */

static struct driver *peer;
static struct actor peer_actor;
static struct redis_settings peer_settings;
static struct stream_ref peer_rooms[ROOMS];
static char peer_names[ROOMS][8];
static bool peer_ready;  /* its read is done: it hears */
static struct buf heard; /* its signals: "what text;" */

static void peer_signalled(void *owner, struct stream_ref *room, struct span what, struct span text)
{
    (void)owner;
    (void)room;
    buf_span(&heard, what);
    buf_char(&heard, ' ');
    buf_span(&heard, text);
    buf_char(&heard, ';');
}

static void peer_read(void *owner, struct stream_read *r)
{
    (void)owner;
    assert_int_equal(r->error, OK);
    peer_ready = true;
}

static void peer_published(void *owner, struct stream_ref *room, struct msg *m,
                           const struct position *at)
{
    (void)owner;
    (void)room;
    (void)m;
    (void)at;
}

static void peer_lost(void *owner, struct stream_ref *room, const struct position *top)
{
    (void)owner;
    (void)room;
    (void)top;
}

static const struct driver_events peer_events = {.signalled = peer_signalled,
                                                 .read_done = peer_read,
                                                 .published = peer_published,
                                                 .lost = peer_lost};

static bool peer_turn(struct actor *a)
{
    (void)a;
    return peer->ops->turn(peer, now);
}

/* It hears what is told in all rooms. */
static int start_both(void **state)
{
    struct driver_config config = {
        .events = &peer_events, .owner = &peer, .loop = &driver_loop, .settings = &peer_settings};
    start(state);
    peer_settings = settings;
    peer_settings.node = "peer";
    assert_int_equal(redis_driver.open(&peer, &config), OK);
    peer_actor = (struct actor){.turn = peer_turn};
    loop_add(&driver_loop, &peer_actor);
    run_until(!counter_get(&peer->counters.away));
    for (size_t i = 0; i < ROOMS; i++) {
        struct stream_read r = {.limits = roomy};
        snprintf(peer_names[i], sizeof(peer_names[i]), "r%zu", i);
        peer_rooms[i] = room_named(peer_names[i]);
        r.room = &peer_rooms[i];
        assert_true(peer->ops->watch(peer, &peer_rooms[i]));
        peer_ready = false;
        peer->ops->read(peer, &r);
        run_until(peer_ready);
        stream_read_deinit(&r);
    }
    return 0;
}

static void end_peer(void)
{
    for (size_t i = 0; i < ROOMS; i++)
        peer->ops->unwatch(peer, &peer_rooms[i]);
    loop_remove(&driver_loop, &peer_actor);
    peer->ops->stop(peer);
    for (size_t i = 0; i < ROOMS; i++)
        peer->ops->forget(peer, &peer_rooms[i]);
    peer->ops->close(peer);
    peer = NULL;
}

static int stop_both(void **state)
{
    if (peer)
        end_peer();
    buf_deinit(&heard);
    return stop(state);
}

/* ---- asking --------------------------------------------------------------------------------- */

struct answer {
    struct share share;
    enum err error;
    unsigned done;
    size_t count;
    char words[ANSWER_MAX][64];
};

static void told(void *owner, struct share *s)
{
    struct answer *a = container_of(s, struct answer, share);
    (void)owner;
    assert_false(inside);
    a->done++;
    a->error = s->error;
    a->count = s->answers;
    for (size_t i = 0; i < s->answers && i < ANSWER_MAX; i++)
        snprintf(a->words[i], sizeof(a->words[i]), "%.*s", (int)s->answer[i].n, s->answer[i].p);
}

static void begin(struct driver *d, struct answer *a, enum share_verb verb, const char *room,
                  const char *const *words)
{
    *a = (struct answer){.share = {.verb = verb, .room = span_str(room), .done = told}};
    for (; *words; words++)
        a->share.words[a->share.count++] = span_str(*words);
    inside = true;
    d->ops->share(d, &a->share);
    inside = false;
}

/* Words begin with the room. */
static struct answer *ask_with(struct driver *d, enum share_verb verb, const char *const *words)
{
    static struct answer a;
    begin(d, &a, verb, words[0], words + 1);
    run_until(a.done);
    return &a;
}

#define ASK(d, verb, ...) ask_with(d, verb, (const char *const[]){__VA_ARGS__, NULL})

/* What is answered, in one line. */
static void assert_words(const struct answer *a, const char *want)
{
    struct buf line = {0};
    assert_int_equal(a->error, OK);
    for (size_t i = 0; i < a->count && i < ANSWER_MAX; i++)
        buf_fmt(&line, "%s%s", i ? " " : "", a->words[i]);
    assert_span(((struct span){line.n ? line.p : "", line.n}), want);
    buf_deinit(&line);
}

static void assert_counts(struct driver *d, const char *room, const char *want)
{
    assert_words(ASK(d, SHARE_COUNT, room), want);
}

static void enter(struct driver *d, const char *room, const char *id, const char *user)
{
    char info[64];
    snprintf(info, sizeof(info), "{\"user\":\"%s\",\"client\":\"%s\"}", user, id);
    assert_int_equal(ASK(d, SHARE_ENTER, room, id, user, info, "1", "1000")->error, OK);
}

static void leave(struct driver *d, const char *room, const char *id)
{
    assert_int_equal(ASK(d, SHARE_LEAVE, room, id, "1000")->error, OK);
}

static struct answer *beat(struct driver *d, const char *ms)
{
    return ASK(d, SHARE_BEAT, NULL, ms, "{\"of\":1}");
}

/* The lease of `driver` has run out on all servers. */
static void await_death(void)
{
    const struct answer *a;
    do
        a = beat(peer, LEASE);
    while (strcmp(a->words[1], "1") != 0 || a->count != 5);
}

/* Everything that was told up to now has been heard: behind it comes this. */
static void assert_heard(const char *want)
{
    for (size_t i = 0; i < ROOMS; i++)
        assert_int_equal(ASK(driver, SHARE_SIGNAL, peer_names[i], "fence", "")->error, OK);
    size_t fences = 0, kept = 0;
    for (;;) { /* what is heard meanwhile is counted once the loop has run */
        fences = 0;
        for (size_t i = 0; i + 7 <= heard.n; i++)
            fences += memcmp(heard.p + i, "fence ;", 7) == 0;
        if (fences >= ROOMS)
            break;
        size_t before = heard.n;
        run_until(heard.n > before);
    }
    assert_int_equal(fences, ROOMS);
    struct buf rest = {0};
    while (kept < heard.n) {
        bool fence = kept + 7 <= heard.n && memcmp(heard.p + kept, "fence ;", 7) == 0;
        if (!fence)
            buf_char(&rest, heard.p[kept]);
        kept += fence ? 7 : 1;
    }
    assert_span(((struct span){rest.n ? rest.p : "", rest.n}), want);
    buf_deinit(&rest);
    buf_clear(&heard);
}

/* How many keys there are whose name begins so, on all servers. */
static long keys_of(const char *kind)
{
    long n = 0;
    for (size_t i = 0; i < subject->servers; i++) {
        char command[128];
        snprintf(command, sizeof(command), "EVAL \"return #redis.call('KEYS','%s:%s:*')\" 0",
                 prefix, kind);
        n += strtol(redis_say(&servers[i], command) + 1, NULL, 10);
    }
    return n;
}

/* The ms that a key of this test has left to live; -1: it does not end, -2: it is not there. */
static long life_of(const char *name)
{
    char command[128];
    long most = -2;
    for (size_t i = 0; i < subject->servers; i++) {
        snprintf(command, sizeof(command), "PTTL %s:%s", prefix, name);
        long ms = strtol(redis_say(&servers[i], command) + 1, NULL, 10);
        if (ms != -2)
            most = ms;
    }
    return most;
}

/* ---- of every driver ------------------------------------------------------------------------ */

static void who_shares_nothing_says_so(void **state)
{
    (void)state;
    assert_int_equal(subject->ops->shared, subject->ops->share != NULL);
    assert_int_equal(subject->ops->shared, subject->servers > 0);
}

/* ---- members -------------------------------------------------------------------------------- */

static void members_are_counted_and_listed_whichever_gateway_has_them(void **state)
{
    (void)state;
    beat(driver, LEASE);
    beat(peer, LEASE);
    assert_counts(driver, "r0", "0 0");
    assert_words(ASK(peer, SHARE_MEMBERS, "r0", "10000"), "");
    enter(driver, "r0", "a", "ann");
    enter(driver, "r0", "b", "bob");
    enter(peer, "r0", "c", "ann");
    enter(peer, "r1", "d", "dan");
    assert_counts(driver, "r0", "3 2");
    assert_counts(peer, "r0", "3 2");
    assert_counts(driver, "r1", "1 1");
    assert_int_equal(ASK(driver, SHARE_MEMBERS, "r0", "10000")->count, 6);
    assert_words(ASK(driver, SHARE_MEMBERS, "r1", "10000"),
                 "d {\"user\":\"dan\",\"client\":\"d\"}");
    assert_words(ASK(peer, SHARE_OWN, "r0"), "c");
    assert_int_equal(ASK(driver, SHARE_OWN, "r0")->count, 2);
    assert_int_equal(ASK(driver, SHARE_MEMBERS, "r0", "40")->count, 1); /* it would be more */
    leave(peer, "r0", "c");
    assert_counts(driver, "r0", "2 2");
    leave(driver, "r0", "a");
    leave(driver, "r0", "b");
    leave(driver, "r0", "b"); /* nobody */
    assert_counts(peer, "r0", "0 0");
    leave(peer, "r1", "d");
    assert_int_equal(keys_of("members") + keys_of("in") + keys_of("users") + keys_of("rooms"), 0);
}

static void who_is_there_already_counts_once(void **state)
{
    (void)state;
    beat(driver, LEASE);
    for (int i = 0; i < 3; i++)
        enter(driver, "r0", "a", "ann");
    assert_counts(driver, "r0", "1 1");
    assert_heard("j {\"user\":\"ann\",\"client\":\"a\"};");
    leave(driver, "r0", "a");
    assert_counts(driver, "r0", "0 0");
}

static void joins_and_leaves_are_told_to_the_others_up_to_a_size(void **state)
{
    (void)state;
    beat(driver, LEASE);
    assert_int_equal(ASK(driver, SHARE_ENTER, "r0", "a", "u", "A", "1", "1")->error, OK);
    assert_int_equal(ASK(driver, SHARE_ENTER, "r0", "b", "u", "B", "1", "1")->error, OK);
    assert_int_equal(ASK(driver, SHARE_ENTER, "r0", "c", "u", "C", "0", "9")->error, OK);
    assert_int_equal(ASK(peer, SHARE_ENTER, "r0", "d", "u", "D", "1", "9")->error,
                     OK); /* its own */
    assert_heard("j A;");
    assert_int_equal(ASK(driver, SHARE_LEAVE, "r0", "a", "3")->error, OK);
    assert_int_equal(ASK(driver, SHARE_LEAVE, "r0", "b", "3")->error, OK);
    assert_int_equal(ASK(driver, SHARE_LEAVE, "r0", "c", "3")->error, OK);
    assert_heard("l B;");
}

static void a_signal_is_heard_where_the_room_is_watched_and_kept_nowhere(void **state)
{
    (void)state;
    assert_int_equal(ASK(driver, SHARE_SIGNAL, "r0", "m", "some text\nof 2 lines")->error, OK);
    assert_int_equal(ASK(driver, SHARE_SIGNAL, "elsewhere", "m", "unheard")->error, OK);
    assert_int_equal(ASK(peer, SHARE_SIGNAL, "r0", "m", "one's own")->error, OK);
    assert_heard("m some text\nof 2 lines;");
    struct stream_ref room = room_named("r0");
    assert_kept(&room, 1, 0);
    forget(&room);
}

static void what_is_out_of_memory_refuses_members_and_nothing_else(void **state)
{
    (void)state;
    beat(driver, LEASE);
    enter(driver, "r0", "a", "ann");
    for (size_t i = 0; i < subject->servers; i++)
        redis_say(&servers[i], "CONFIG SET maxmemory 1");
    assert_int_equal(ASK(driver, SHARE_ENTER, "r0", "b", "bob", "B", "1", "9")->error, ERR_LIMIT);
    assert_counts(driver, "r0", "1 1");
    assert_int_equal(ASK(driver, SHARE_SIGNAL, "r0", "m", "t")->error, OK);
    assert_int_equal(beat(driver, LEASE)->error, OK);
    leave(driver, "r0", "a");
    for (size_t i = 0; i < subject->servers; i++)
        redis_say(&servers[i], "CONFIG SET maxmemory 0");
    enter(driver, "r0", "b", "bob");
    assert_counts(driver, "r0", "1 1");
}

/* ---- records -------------------------------------------------------------------------------- */

static void keep(struct stream_ref *room, const char *data, const char *record, bool erase)
{
    struct commit c = {.record = span_str(record), .erase = erase};
    begin_commit(&c, room, data, &roomy);
    settle();
    assert_int_equal(c.error, OK);
    msg_unref(c.msg);
}

static void what_commits_keep_beside_the_stream_is_told_to_all(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r0");
    assert_words(ASK(peer, SHARE_RECORDS, "r0"), "");
    keep(&room, "1", "one", false);
    keep(&room, "2", "two", false);
    keep(&room, "3", "one", false); /* in place of 1 */
    assert_int_equal(ASK(peer, SHARE_RECORDS, "r0")->count, 2);
    keep(&room, "4", "two", true);
    assert_words(ASK(peer, SHARE_RECORDS, "r0"), "3");
    assert_kept(&room, 1, 4);
    assert_words(ASK(peer, SHARE_RECORDS, "r1"), "");
    forget(&room);
}

/* ---- gateways ------------------------------------------------------------------------------- */

static void gateways_learn_of_each_other_by_beats(void **state)
{
    (void)state;
    assert_words(beat(driver, LEASE), "1 0 test {\"of\":1}");
    assert_words(beat(driver, LEASE), "0 0 test {\"of\":1}");
    struct answer *a = beat(peer, LEASE);
    assert_string_equal(a->words[0], "1");
    assert_int_equal(a->count, 6); /* each once, on however many servers */
    assert_string_equal(a->words[1], "0");
    for (int i = 0; i < 2; i++)
        assert_true(strcmp(a->words[2 + 2 * i], "test") == 0 ||
                    strcmp(a->words[2 + 2 * i], "peer") == 0);
    assert_string_not_equal(a->words[2], a->words[4]);
}

/* One server knows nothing of a gateway that the other one knows. */
static void who_is_alive_for_one_server_is_alive(void **state)
{
    char command[64];
    (void)state;
    beat(driver, LEASE);
    beat(peer, LEASE);
    snprintf(command, sizeof(command), "ZREM %s:nodes peer", prefix);
    redis_say(&servers[0], command);
    assert_int_equal(beat(driver, LEASE)->count, subject->servers > 1 ? 6 : 4);
    assert_string_equal(beat(peer, LEASE)->words[0], "1"); /* so it looks what it has there */
    assert_string_equal(beat(peer, LEASE)->words[0], "0");
}

static void members_of_a_gateway_without_lease_are_nobody(void **state)
{
    (void)state;
    beat(peer, LEASE);
    beat(driver, "1");
    enter(peer, "r0", "p", "pat");
    enter(driver, "r0", "a", "ann");
    await_death();
    assert_string_equal(beat(peer, LEASE)->words[2], "test");
    assert_words(ASK(peer, SHARE_MEMBERS, "r0", "10000"), "p {\"user\":\"pat\",\"client\":\"p\"}");
    assert_counts(peer, "r0", "1 2"); /* users of the dead count until it is buried */
}

static struct answer *bury(struct driver *d, const char *name)
{
    return ASK(d, SHARE_BURY, NULL, name, "3", "1000", LEASE);
}

static void the_dead_are_buried_a_few_at_a_time_on_all_servers(void **state)
{
    (void)state;
    beat(peer, LEASE);
    for (size_t i = 0; i < ROOMS; i++) {
        enter(driver, peer_names[i], "a", "ann");
        enter(driver, peer_names[i], "b", "bob");
    }
    enter(peer, "r0", "p", "pat");
    assert_true(subject->servers == 1 || keys_of("rooms") > 2); /* both servers have some */
    assert_words(bury(peer, "test"), "0"); /* it has a lease: it entered somebody */
    beat(driver, "1");
    await_death();
    buf_clear(&heard);
    int slices = 1;
    while (strcmp(bury(peer, "test")->words[0], "1") == 0)
        slices++;
    assert_in_range(slices, subject->servers > 1 ? 2 : 3, 2 * 2 * ROOMS);
    run_until(heard.n >= 2 * ROOMS * sizeof("l {\"user\":\"ann\",\"client\":\"a\"}"));
    assert_int_equal(heard.n, 2 * ROOMS * sizeof("l {\"user\":\"ann\",\"client\":\"a\"}"));
    buf_clear(&heard);
    assert_int_equal(beat(peer, LEASE)->count, 4); /* it is alone, and nobody is dead */
    assert_counts(peer, "r0", "1 1");
    assert_words(ASK(driver, SHARE_OWN, "r0"), "");
    assert_int_equal(keys_of("members"), 1);
    assert_int_equal(keys_of("in") + keys_of("users") + keys_of("rooms"), 3);
    assert_words(bury(peer, "test"), "0");
    assert_string_equal(beat(driver, LEASE)->words[0], "1"); /* should it live: to begin anew */
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void all_that_is_kept_of_members_ends_and_is_put_off_while_they_are_there(void **state)
{
    static const char *const keys[] = {"members:test:r0", "in:r0", "users:r0", "rooms:test",
                                       "nodes"};
    char command[128];
    struct stream_ref room = room_named("r0");
    (void)state;
    put(&room, "1");
    beat(driver, LEASE);
    enter(driver, "r0", "a", "ann");
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_true(life_of(keys[i]) > 60 * 1000);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        for (size_t k = 0; k < subject->servers; k++) {
            snprintf(command, sizeof(command), "PEXPIRE %s:%s 900000", prefix, keys[i]);
            redis_say(&servers[k], command);
        }
    for (size_t i = 0; i < subject->servers; i++) /* rooms are compared after that */
        redis_say(&servers[i], "CLIENT KILL TYPE pubsub");
    while (life_of("members:test:r0") < 1000000)
        uv_run(&driver_loop.uv, UV_RUN_ONCE);
    run_until(connected());
    assert_int_equal(beat(driver, LEASE)->error, OK);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_true(life_of(keys[i]) > 1000000);
    forget(&room);
}

static void each_share_ends_once_also_when_the_driver_stops(void **state)
{
    static struct answer answers[40];
    static const char *const none[] = {NULL};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++)
        begin(peer, &answers[i], i % 2 ? SHARE_COUNT : SHARE_OWN, peer_names[i % ROOMS], none);
    end_peer();
    for (size_t i = 0; i < COUNT_OF(answers); i++)
        assert_int_equal(answers[i].done, 1);
}

static void what_is_away_fails_soon_and_takes_nothing_else_along(void **state)
{
    size_t last = subject->servers - 1;
    enum err each[ROOMS];
    size_t failed = 0;
    (void)state;
    beat(driver, LEASE);
    redis_kill(&servers[last]);
    run_until(!connected());
    for (size_t i = 0; i < ROOMS; i++) {
        each[i] = ASK(driver, SHARE_COUNT, peer_names[i])->error;
        assert_true(each[i] == OK || each[i] == ERR_INTERNAL);
        failed += each[i] != OK;
    }
    assert_true(failed > 0 && (subject->servers == 1) == (failed == ROOMS));
    assert_int_equal(beat(driver, LEASE)->error, subject->servers > 1 ? OK : ERR_INTERNAL);
    assert_int_equal(bury(driver, "nobody")->error, subject->servers > 1 ? OK : ERR_INTERNAL);
    redis_restart(&servers[last], NULL);
    run_until(connected() && !counter_get(&peer->counters.away));
    for (size_t i = 0; i < ROOMS; i++)
        assert_counts(driver, peer_names[i], "0 0");
}

#define TEST(f)    cmocka_unit_test_setup_teardown(f, start_both, stop_both)
#define GROUP(set) cmocka_run_group_tests_name(subject->ops->name, set, start_server, stop_server)

int main(void)
{
    static const struct CMUnitTest of_every_driver[] = {
        cmocka_unit_test_setup_teardown(who_shares_nothing_says_so, start, stop),
    };
    static const struct CMUnitTest of_those_that_share[] = {
        TEST(members_are_counted_and_listed_whichever_gateway_has_them),
        TEST(who_is_there_already_counts_once),
        TEST(joins_and_leaves_are_told_to_the_others_up_to_a_size),
        TEST(a_signal_is_heard_where_the_room_is_watched_and_kept_nowhere),
        TEST(what_is_out_of_memory_refuses_members_and_nothing_else),
        TEST(what_commits_keep_beside_the_stream_is_told_to_all),
        TEST(gateways_learn_of_each_other_by_beats),
        TEST(who_is_alive_for_one_server_is_alive),
        TEST(members_of_a_gateway_without_lease_are_nobody),
        TEST(the_dead_are_buried_a_few_at_a_time_on_all_servers),
        TEST(all_that_is_kept_of_members_ends_and_is_put_off_while_they_are_there),
        TEST(each_share_ends_once_also_when_the_driver_stops),
        TEST(what_is_away_fails_soon_and_takes_nothing_else_along),
    };
    int failed = 0;
    map_seed();
    for (size_t i = 0; i < COUNT_OF(subjects); i++) {
        subject = &subjects[i];
        failed += GROUP(of_every_driver);
        if (subject->servers)
            failed += GROUP(of_those_that_share);
    }
    return failed;
}
