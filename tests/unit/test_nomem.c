/* SPDX-License-Identifier: MIT */
/* test_nomem.c: memory runs out, at every allocation there is, in the middle of a conversation.
 *
 * The linker sends our own allocations through here. Whatever is refused: nothing crashes, nothing
 * leaks, each command is answered or its session closed, and nobody loses a publication unawares.
 */
#include "backplane/base/map.h"
#include "rooms/room.h"
#include "tests/unit/core_kit.h"
#include "tests/unit/gateway_kit.h"

/* The linker's names (--wrap). NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
/* NOLINTEND(bugprone-reserved-identifier) */

static volatile bool armed; /* the compiler thinks that it knows what malloc reads */
static unsigned long counted, refuse_from, refuse_count;

static bool refused(void)
{
    if (!armed || kit_own)
        return false;
    counted++;
    return counted >= refuse_from && counted - refuse_from < refuse_count;
}

void *__wrap_malloc(size_t n)
{
    return refused() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return refused() ? NULL : __real_realloc(p, n);
}

/* ---- a conversation ------------------------------------------------------------------------- */

#define CLIENTS 3
#define TURNS   12 /* enough for everything that is asked for at a time */

static struct lws clients[CLIENTS];
static uint32_t asked[CLIENTS];
static size_t backlog; /* bytes that waited while two did not read */

static void some_turns(void)
{
    for (int i = 0; i < TURNS; i++)
        kit_turn();
}

/* Says one command; a client that is being closed is not heard any more. */
static void say(int who, const char *command)
{
    struct session *s = clients[who].session;
    if (!s || s->closing || s->failed || clients[who].paused)
        return;
    asked[who]++;
    client_send(&clients[who], command);
}

static void publish(int who, const char *room, size_t size)
{
    char text[5000], data[4001];
    memset(data, 'x', size);
    data[size] = '\0';
    snprintf(text, sizeof(text),
             "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":{\"cid\":\"%u\",\"x\":\"%s\"}}}",
             asked[who] + 1, room, asked[who], data);
    say(who, text);
}

static void arrive(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        say(i, "{\"id\":1,\"connect\":{\"data\":{\"guest\":{\"key\":\"0123456789abcdef\","
               "\"name\":\"\\uc548\"}}}}");
        say(i, "{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"join_leave\":true}}");
    }
    some_turns();
    say(0, "{\"id\":3,\"subscribe\":{\"channel\":\"b\"}}");
    say(1, "{\"id\":3,\"subscribe\":{\"channel\":\"\\u0062\",\"join_leave\":true}}");
    say(2, "{\"id\":3,\"subscribe\":{\"channel\":\"bare:c\"}}");
    some_turns();
}

static void talk(void)
{
    publish(0, "a", 100);
    publish(1, "a", 100);
    publish(2, "bare:c", 10);
    some_turns();
    for (int i = 0; i < 6; i++)
        publish(0, "a", 4000);
    some_turns();
    say(1, "{\"id\":10,\"presence\":{\"channel\":\"a\"}}");
    say(1, "{\"id\":11,\"presence_stats\":{\"channel\":\"a\"}}");
    say(1, "{\"id\":12,\"rpc\":{\"method\":\"rooms.typing\",\"data\":{\"room\":\"a\"}}}");
    say(1, "{\"id\":13,\"history\":{\"channel\":\"a\",\"limit\":2}}");
    say(1, "{\"id\":14,\"history\":{\"channel\":\"a\",\"limit\":100}}");
    some_turns();
}

/* Two do not read for a while: queues, and a hub that falls behind. */
static void stall(void)
{
    clients[1].window = clients[2].window = 100;
    for (int i = 0; i < 8; i++)
        publish(0, i % 3 ? "a" : "bare:c", 1000);
    some_turns();
    backlog = kit_hub->queued_bytes;
    clients[1].window = SIZE_MAX;
    client_drain(&clients[1]);
    some_turns();
}

static void leave_and_come_back(void)
{
    say(0, "{\"id\":50,\"unsubscribe\":{\"channel\":\"b\"}}");
    say(1, "{\"id\":51,\"unsubscribe\":{\"channel\":\"b\"}}");
    say(1, "{\"id\":52,\"subscribe\":{\"channel\":\"b\",\"recover\":true,\"recoverable\":true,"
           "\"offset\":0,\"epoch\":\"\"}}");
    client_gone(&clients[2]);
    some_turns();
    publish(1, "a", 10);
    some_turns();
}

static struct options *small_options(void)
{
    struct options *o = NULL;
    struct buf report = {0};
    must(options_load_text(
        &o, "test", SPAN("[hub]\ninbox_bytes = 4KiB\n[rooms bare]\nhistory_size = 0\n"), &report));
    return o;
}

/* ---- what must hold ------------------------------------------------------------------------- */

static void come_to_rest(void)
{
    kit_run();
    for (int n = 0; n < 1000; n++) {
        bool more = kit_fire(&kit_hub->tell_timer);
        for (int i = 0; i < CLIENTS; i++) {
            clients[i].window = SIZE_MAX;
            more |= clients[i].session && (clients[i].busy || clients[i].wants_write);
            client_drain(&clients[i]);
        }
        kit_run();
        if (!more)
            return;
    }
    fail_msg("there is no end to it");
}

static uint64_t number_behind(struct span line, const char *key)
{
    const char *at = memmem(line.p, line.n, key, strlen(key));
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static bool has(struct span line, const char *what)
{
    return memmem(line.p, line.n, what, strlen(what)) != NULL;
}

/* Publications of room `a` as they came: gapless until it was told to come anew. */
static void check_gapless(struct lws *wsi, uint64_t top)
{
    uint64_t last = 0;
    bool in = false;
    for (size_t at = 0; at < wsi->replies.n;) {
        const char *p = wsi->replies.p + at;
        const char *end = memchr(p, '\n', wsi->replies.n - at);
        struct span line = {p, (size_t)(end - p)};
        at += line.n + 1;
        if (has(line, "{\"id\":2,\"subscribe\"")) {
            in = true;
            last = number_behind(line, "\"offset\":");
        } else if (has(line, "{\"push\":{\"channel\":\"a\",\"unsubscribe\"")) {
            in = false;
        } else if (has(line, "{\"push\":{\"channel\":\"a\",\"pub\"") && !has(line, "\"typing\"")) {
            uint64_t offset = number_behind(line, ",\"offset\":");
            assert_true(in);
            assert_int_equal(offset, last + 1);
            last = offset;
        }
    }
    if (in && !wsi->close_code && wsi->session && last != top)
        fail_msg("allocation %lu failed, and of %llu publications only %llu came:\n%.*s",
                 refuse_from, (unsigned long long)top, (unsigned long long)last,
                 (int)wsi->replies.n, wsi->replies.p);
}

/* The position of room `a`, asked for by somebody who has memory again. */
static uint64_t top_of_a(void)
{
    static struct lws asker;
    assert_true(client_open(&asker));
    client_send(&asker, "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"history\":{\"channel\":\"a\"}}");
    kit_run();
    struct span text = {asker.replies.p, asker.replies.n};
    assert_true(has(text, "\"history\":{\"epoch\""));
    uint64_t top = number_behind(text, "\"offset\":");
    client_deinit(&asker);
    kit_run();
    return top;
}

static void check(void)
{
    uint64_t top = top_of_a();
    for (int i = 0; i < CLIENTS; i++) {
        struct lws *wsi = &clients[i];
        if (wsi->session && !wsi->session->closing)
            assert_int_equal(wsi->reply_count, asked[i]);
        else if (wsi->session && !wsi->close_code)
            assert_true(kit_fire(&wsi->session->timer) &&
                        wsi->killed); /* no memory for the frame */
        else
            assert_true(i == 2 || wsi->close_code || wsi->killed);
        check_gapless(wsi, top);
    }
}

/* True if everything was done before an allocation had to be refused. */
static bool conversation(unsigned long from, unsigned long count)
{
    struct options *o = small_options();
    kit_open(o);
    counted = 0;
    refuse_from = from;
    refuse_count = count;
    memset(asked, 0, sizeof(asked));
    memset(clients, 0, sizeof(clients));
    for (int i = 0; i < CLIENTS; i++) {
        armed = true;
        bool opened = client_open(&clients[i]);
        armed = false;
        if (!opened) { /* then the library closes the connection */
            clients[i].session = NULL;
            clients[i].killed = 1;
        }
    }
    armed = true;
    arrive();
    talk();
    stall();
    leave_and_come_back();
    armed = false;
    come_to_rest();
    check();
    if (counted < from) { /* undisturbed: what the conversation is meant to reach, it reaches */
        assert_true(sequencer_counters(kit_gateway.sequencer)->behind > 0);
        assert_true(sequencer_counters(kit_gateway.sequencer)->fills > 0);
        assert_true(sequencer_counters(kit_gateway.sequencer)->insufficient > 0);
        assert_true(backlog > 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        client_deinit(&clients[i]);
    kit_close();
    return counted < from;
}

static void a_conversation_survives(unsigned long at_a_time)
{
    unsigned long n = 1;
    while (!conversation(n, at_a_time))
        n++;
    printf("%lu allocations\n", n - 1);
    assert_true(n > 100); /* else the allocations did not come by here */
}

static void one_allocation_may_fail_anywhere(void **state)
{
    (void)state;
    a_conversation_survives(1);
}

static void a_few_allocations_may_fail_anywhere(void **state)
{
    (void)state;
    a_conversation_survives(7);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    a_conversation_survives(ULONG_MAX);
}

/* ---- a flush that takes several turns ------------------------------------------------------- */

static uint32_t delivered, told;

static void deliver(void *owner, struct sub *s, struct msg *frame)
{
    (void)owner;
    (void)s;
    (void)frame;
    delivered++;
}

static void lost(void *owner, struct room *r)
{
    (void)owner;
    (void)r;
    told++;
}

static void push_to(struct rooms *rooms, struct room *room, enum msg_kind kind)
{
    struct msg *m = sealed("r", "1", 0);
    m->kind = (uint8_t)kind;
    rooms_push(rooms, room, m);
    msg_unref(m);
}

static void a_frame_that_could_not_be_built_is_told_even_if_the_flush_goes_on_later(void **state)
{
    (void)state;
    static const struct rooms_events events = {deliver, lost};
    enum { SUBS = 10 };
    struct rooms rooms;
    struct sub subs[SUBS] = {0};
    delivered = told = 0;
    rooms_init(&rooms, &events, NULL, SIZE_MAX, UINT64_MAX);
    struct room *room = rooms_hold(&rooms, SPAN("r"));
    for (int i = 0; i < SUBS; i++) {
        subs[i].room = room;
        assert_true(sub_activate(&subs[i], i ? CLASS_JOIN_LEAVE : CLASS_PLAIN));
    }
    push_to(&rooms, room, MSG_JOIN);
    push_to(&rooms, room, MSG_PUBLICATION);
    push_to(&rooms, room, MSG_PUBLICATION);
    armed = true;
    counted = 0;
    refuse_from = 1; /* the frame for those who want no joins */
    refuse_count = 1;
    assert_true(rooms_flush(&rooms, 5));
    armed = false;
    while (rooms_flush(&rooms, 5))
        assert_in_range(delivered, 1, SUBS);
    assert_int_equal(delivered, SUBS - 1);
    assert_int_equal(told, 1);
    for (int i = 0; i < SUBS; i++)
        sub_deactivate(&subs[i]);
    rooms_release(&rooms, room);
    rooms_deinit(&rooms);
}

/* ---- the start ------------------------------------------------------------------------------ */

static void a_sequencer_that_cannot_be_made_leaves_nothing_behind(void **state)
{
    static const struct sequencer_config config = {.driver = &local_driver,
                                                   .max_stream_bytes = 1 << 20,
                                                   .hub_inbox_bytes = 1 << 20,
                                                   .max_rooms = 10,
                                                   .max_sanctions = 10};
    struct loop loop;
    struct sequencer *seq = NULL;
    unsigned long failed = 0;
    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    for (;;) {
        counted = 0;
        refuse_from = failed + 1;
        refuse_count = 1;
        armed = true;
        enum err e = sequencer_new(&seq, &loop, &config);
        armed = false;
        assert_int_equal(e == OK, seq != NULL);
        if (!e)
            break;
        failed++;
    }
    assert_in_range(failed, 2, 1000); /* itself, the driver … */
    sequencer_free(seq);
    loop_settle(&loop);
    assert_int_equal(loop_deinit(&loop), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_allocation_may_fail_anywhere),
        cmocka_unit_test(a_few_allocations_may_fail_anywhere),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(a_frame_that_could_not_be_built_is_told_even_if_the_flush_goes_on_later),
        cmocka_unit_test(a_sequencer_that_cannot_be_made_leaves_nothing_behind),
    };
    map_seed();
    return cmocka_run_group_tests_name("nomem", tests, NULL, NULL);
}
