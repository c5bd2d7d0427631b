/* SPDX-License-Identifier: MIT */
/* test_feed.c: a feed between a truthful stream and a way that loses.
 *
 * The model holds what really happened. Publications travel to the feed in a pipe that may be cut
 * anywhere; reads take a snapshot of the stream when they arrive at the server and travel back.
 * Whatever happens, what the feed delivers is what happened, in order, each once, except where it
 * says that something is lost.
 */
#include "backplane/feed.h"

#include "tests/unit/core_kit.h"

#define HISTORY 3000

static struct feed feed;

/* ---- what happened ---- */

static struct feed_item happened[HISTORY]; /* in order; all epochs */
static size_t count;
static size_t epoch_from; /* first of the epoch that is now */
static struct position top;
static uint64_t seq, kept; /* so many are in the stream, at most */
static size_t cleared;     /* nothing before this one is in the stream */

static void new_epoch(void)
{
    top.epoch[0] = (char)('a' + (top.epoch[0] + 1 - 'a') % 26);
    epoch_from = cleared = count;
    if (one_in(2)) { /* all is gone; otherwise another history of the same numbers */
        top.offset = 0;
        seq = 0;
    } else {
        seq -= seq < 3 ? seq : random_below(3);
    }
}

static const struct feed_item *happens(bool stored)
{
    struct feed_item *item = &happened[count++];
    assert_true(count < HISTORY);
    seq++;
    *item = (struct feed_item){.at = top, .seq = seq};
    item->at.offset = stored ? ++top.offset : 0;
    item->msg = sealed("r", "\"text\"", item->at.offset);
    return item;
}

/* ---- what is delivered ---- */

static size_t next; /* index of what is to be delivered next; before the first read: SIZE_MAX */
static size_t deliveries, losses;

static void deliver(void *owner, struct msg *m, const struct position *at)
{
    (void)owner;
    assert_true(next < count);
    assert_int_equal(m->offset, at->offset);
    assert_int_equal(at->offset, happened[next].at.offset);
    assert_int_equal(feed.seq, happened[next].seq);
    assert_memory_equal(feed.at.epoch, happened[next].at.epoch, EPOCH_MAX);
    next++;
    deliveries++;
}

static size_t shown; /* by the answer that is being told */

static void lost(void *owner, const struct position *to)
{
    (void)owner;
    (void)to;
    assert_true(next < SIZE_MAX);
    next = shown;
    losses++;
}

static const struct feed_sink sink = {deliver, lost, NULL};

/* ---- the two ways ---- */

static size_t pipe_items[HISTORY];
static size_t pipe_from, pipe_to;

/* A read as the server answered it. */
struct reading {
    struct feed_answer answer;
    struct msg *stored[HISTORY];
    size_t shows; /* so many had happened */
    bool told_to_fail;
};

#define READS 8
static struct reading *readings[READS];
static size_t asked, told;
static uint64_t place[READS]; /* the feed's offset when it was sent */
static bool executed[READS];
static bool whole; /* the way is whole: no read fails any more */

static void send_read(void)
{
    if (asked - told == READS || (!feed.started && feed_reading(&feed)))
        return;
    place[asked % READS] = feed.started ? feed.at.offset : UINT64_MAX;
    executed[asked % READS] = false;
    feed_read_begun(&feed);
    asked++;
}

static void wants(enum feed_next n)
{
    if (n == FEED_READ && asked - told < READS)
        send_read();
}

/* The server answers the oldest read that has not been. */
static void execute(void)
{
    size_t i = told;
    while (i < asked && executed[i % READS])
        i++;
    if (i == asked)
        return;
    executed[i % READS] = true;
    struct reading *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    readings[i % READS] = r;
    r->answer.top = top;
    r->answer.seq = seq;
    r->answer.stored = r->stored;
    r->shows = count;
    r->told_to_fail = !whole && one_in(15);
    uint64_t from = place[i % READS], first = top.offset < kept ? 0 : top.offset - kept;
    for (size_t j = cleared; j < count && from != UINT64_MAX; j++) {
        uint64_t offset = happened[j].at.offset;
        if (!offset || offset <= first || offset <= from)
            continue;
        if (r->answer.count == 5) {
            r->answer.cut = true;
            break;
        }
        r->stored[r->answer.count++] = happened[j].msg;
    }
}

static void tell_read(void)
{
    if (told == asked || !executed[told % READS])
        return;
    struct reading *r = readings[told % READS];
    told++;
    if (r->told_to_fail) {
        feed_read_failed(&feed);
    } else {
        bool first = !feed.started;
        shown = r->shows;
        if (first)
            next = shown;
        if (feed_read(&feed, &r->answer, &sink) == FEED_READ)
            send_read();
        else
            assert_int_equal(next, shown); /* what it shows has been delivered, and nothing else */
    }
    free(r);
    if (feed.wanting && asked - told < READS)
        send_read();
    wants(feed_release(&feed, &sink));
}

static void arrive(void)
{
    if (pipe_from == pipe_to)
        return;
    const struct feed_item *item = &happened[pipe_items[pipe_from++]];
    wants(feed_take(&feed, item, &sink));
}

static bool kind; /* everything is stored and stays so: then nothing can be lost */

static void publish(void)
{
    for (uint32_t n = 1 + random_below(4); n; n--) {
        happens(kind || !one_in(4));
        if (!one_in(12))
            pipe_items[pipe_to++] = count - 1;
    }
}

static void step(void)
{
    switch (random_below(9)) {
    case 0:
    case 1: publish(); break;
    case 2:
        if (one_in(4))
            send_read();
        break;
    case 3:
    case 4: execute(); break;
    case 5: tell_read(); break;
    default: arrive(); break;
    }
    if (one_in(60))
        pipe_from = pipe_to; /* the connection broke */
    if (!kind && one_in(100))
        new_epoch();
    if (!kind && one_in(80))
        cleared = count; /* the stream was emptied */
}

static void drain(void)
{
    while (told != asked || pipe_from != pipe_to) {
        arrive();
        execute();
        tell_read();
    }
}

static void a_life(void)
{
    count = epoch_from = cleared = pipe_from = pipe_to = asked = told = 0;
    next = SIZE_MAX;
    seq = 0;
    kept = kind ? HISTORY : 1 + random_below(40);
    top = (struct position){.epoch = "a"};
    feed_init(&feed);
    send_read();
    whole = false;
    for (int i = 0; i < 1500; i++)
        step();
    whole = true; /* one more read, and everything is there */
    drain();
    send_read();
    drain();
    assert_true(feed.started);
    assert_int_equal(next, count);
    assert_position(feed.at, top.offset, top);
    assert_int_equal(feed.seq, seq);
    feed_deinit(&feed);
    while (count)
        msg_unref(happened[--count].msg);
}

static void what_is_delivered_is_what_happened_or_a_loss_is_told(void **state)
{
    (void)state;
    random_begin("feed");
    deliveries = losses = 0;
    for (int i = 0; i < 300; i++)
        a_life();
    printf("%zu deliveries, %zu losses\n", deliveries, losses);
    assert_true(deliveries > 20000 && losses > 300); /* else nothing was tried */
}

static void what_the_stream_holds_is_never_lost(void **state)
{
    (void)state;
    random_begin("feed");
    deliveries = losses = 0;
    kind = true;
    for (int i = 0; i < 300; i++)
        a_life();
    kind = false;
    printf("%zu deliveries\n", deliveries);
    assert_true(deliveries > 100000);
    assert_int_equal(losses, 0);
}

/* ---- one by one ---- */

static void begin_at(uint64_t offset, uint64_t at_seq)
{
    count = next = 0;
    top = (struct position){.offset = offset, .epoch = "e"};
    seq = at_seq;
    feed_init(&feed);
    feed_read_begun(&feed);
    struct feed_answer a = {.top = top, .seq = seq};
    assert_int_equal(feed_read(&feed, &a, &sink), FEED_WELL);
    next = 0;
    losses = deliveries = 0;
}

static void end(void)
{
    feed_deinit(&feed);
    while (count)
        msg_unref(happened[--count].msg);
}

static void what_comes_in_order_is_delivered_at_once_and_a_repeat_is_not(void **state)
{
    (void)state;
    begin_at(5, 9);
    for (int i = 0; i < 3; i++)
        assert_int_equal(feed_take(&feed, happens(i != 1), &sink), FEED_WELL);
    assert_int_equal(deliveries, 3);
    assert_int_equal(feed_take(&feed, &happened[0], &sink), FEED_WELL);
    assert_int_equal(feed_take(&feed, &happened[2], &sink), FEED_WELL);
    assert_int_equal(deliveries, 3);
    end();
}

static void a_hole_is_read_once_and_what_came_meanwhile_follows_it(void **state)
{
    (void)state;
    begin_at(0, 0);
    struct msg *const stored[] = {happens(true)->msg, happens(true)->msg};
    assert_int_equal(feed_take(&feed, happens(true), &sink), FEED_READ);
    assert_int_equal(feed_take(&feed, happens(true), &sink), FEED_WELL);
    feed_read_begun(&feed);
    assert_int_equal(feed_take(&feed, happens(false), &sink), FEED_WELL);
    assert_int_equal(deliveries, 0);
    struct feed_answer a = {
        .top = {.offset = 2, .epoch = "e"}, .seq = 2, .stored = stored, .count = 2};
    assert_int_equal(feed_read(&feed, &a, &sink), FEED_WELL);
    assert_int_equal(deliveries, 2);
    assert_int_equal(feed_release(&feed, &sink), FEED_WELL);
    assert_int_equal(deliveries, 5);
    assert_int_equal(losses, 0);
    end();
}

static void what_was_never_stored_and_is_missing_is_lost(void **state)
{
    (void)state;
    begin_at(0, 0);
    struct msg *const stored[] = {happens(true)->msg};
    (void)happens(false);
    assert_int_equal(feed_take(&feed, happens(false), &sink), FEED_READ);
    feed_read_begun(&feed);
    struct feed_answer a = {
        .top = {.offset = 1, .epoch = "e"}, .seq = 3, .stored = stored, .count = 1};
    shown = 3;
    assert_int_equal(feed_read(&feed, &a, &sink), FEED_WELL);
    assert_int_equal(losses, 1);
    assert_int_equal(feed_release(&feed, &sink), FEED_WELL);
    assert_int_equal(feed_take(&feed, happens(true), &sink), FEED_WELL); /* and on it goes */
    assert_int_equal(deliveries, 1);
    end();
}

static void more_than_can_be_held_is_read_again(void **state)
{
    (void)state;
    begin_at(0, 0);
    feed_read_begun(&feed);
    struct feed_answer before = {.top = {.epoch = "e"}};
    for (int i = 0; i < 200; i++) {
        struct feed_item item = *happens(true);
        item.msg->len += 10000; /* as if it were that long */
        assert_int_equal(feed_take(&feed, &item, &sink), FEED_WELL);
    }
    assert_true(feed.bytes <= FEED_HELD_BYTES);
    assert_true(feed.overflowed);
    assert_int_equal(feed_read(&feed, &before, &sink), FEED_WELL);
    assert_int_equal(feed_release(&feed, &sink), FEED_READ);
    size_t had = deliveries;
    assert_in_range(had, 50, 150);
    struct msg *stored[200];
    for (size_t i = 0; i < 200; i++)
        stored[i] = happened[i].msg;
    feed_read_begun(&feed);
    struct feed_answer a = {.top = {.offset = 200, .epoch = "e"},
                            .seq = 200,
                            .stored = stored + had,
                            .count = 200 - had};
    assert_int_equal(feed_read(&feed, &a, &sink), FEED_WELL);
    assert_int_equal(feed_release(&feed, &sink), FEED_WELL);
    assert_int_equal(deliveries, 200);
    assert_int_equal(feed.count, 0);
    assert_int_equal(feed.bytes, 0);
    for (size_t i = 0; i < 200; i++)
        happened[i].msg->len -= 10000;
    end();
}

static void before_the_first_read_nothing_is_kept(void **state)
{
    (void)state;
    count = 0;
    top = (struct position){.epoch = "e"};
    seq = 0;
    feed_init(&feed);
    assert_int_equal(feed_take(&feed, happens(true), &sink), FEED_WELL);
    assert_int_equal(feed.count, 0);
    feed_read_begun(&feed);
    assert_int_equal(feed_take(&feed, happens(true), &sink), FEED_WELL);
    assert_int_equal(feed.count, 1);
    feed_read_failed(&feed);
    assert_int_equal(feed.count, 0);
    end();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_in_order_is_delivered_at_once_and_a_repeat_is_not),
        cmocka_unit_test(a_hole_is_read_once_and_what_came_meanwhile_follows_it),
        cmocka_unit_test(what_was_never_stored_and_is_missing_is_lost),
        cmocka_unit_test(more_than_can_be_held_is_read_again),
        cmocka_unit_test(before_the_first_read_nothing_is_kept),
        cmocka_unit_test(what_is_delivered_is_what_happened_or_a_loss_is_told),
        cmocka_unit_test(what_the_stream_holds_is_never_lost),
    };
    return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
