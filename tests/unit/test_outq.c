/* SPDX-License-Identifier: MIT */
#include "gateway/outq.h"

#include "gateway/socket.h"
#include "tests/unit/core_kit.h"
#include "tests/unit/ws_kit.h"

static struct outq *q;
static char *scratch;

static int start(void **state)
{
    (void)state;
    q = outq_new();
    scratch = malloc(SOCKET_TX);
    return q && scratch ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    outq_free(q);
    free(scratch);
    return 0;
}

static struct msg *frame_of(size_t n, char fill)
{
    struct msg *m = msg_new(n);
    assert_non_null(m);
    memset(m->bytes + MSG_HEADROOM, fill, n);
    m->len = (uint32_t)n;
    msg_seal(m);
    return m;
}

static void add(size_t n, char fill, uint64_t now)
{
    struct msg *m = frame_of(n, fill);
    assert_true(outq_add(q, m, false, now));
    msg_unref(m);
}

/* A reply whose text is n bytes, all of them `fill`. */
static void add_reply(size_t n, char fill, uint64_t now)
{
    struct stream_reply *r = stream_reply_new(NULL, 0);
    assert_non_null(r);
    for (size_t i = 0; i < n; i++)
        buf_char(i < n / 2 ? &r->head : &r->tail, fill);
    assert_true(outq_add_reply(q, r, now));
}

/* Drains all; appends each message to *all, checks frames and the count of bytes. */
static void drain(struct buf *all)
{
    struct ws_reader reader = {0};
    while (!outq_empty(q)) {
        struct msg *big;
        size_t before = q->bytes;
        size_t n = outq_take(q, 9, scratch, SOCKET_TX, &big);
        assert_true(n > 0 && q->bytes < before);
        assert_true(big ? n > SOCKET_TX : n <= SOCKET_TX);
        struct span bytes = big ? msg_frame(big) : (struct span){scratch, n};
        while (bytes.n) {
            enum ws_step step = ws_step(&reader, &bytes);
            assert_true(step == WS_MESSAGE || step == WS_MORE);
            if (step == WS_MESSAGE)
                buf_add(all, reader.message.p, reader.message.n);
        }
        msg_unref(big);
    }
    assert_false(reader.open);
    assert_int_equal(q->bytes, 0);
    struct msg *big;
    assert_int_equal(outq_take(q, 9, scratch, SOCKET_TX, &big), 0);
    assert_null(big);
    buf_deinit(&reader.message);
}

static void an_empty_queue_gives_nothing(void **state)
{
    struct buf all = {0};
    (void)state;
    assert_true(outq_empty(q));
    assert_int_equal(outq_oldest_ms(q), UINT64_MAX);
    drain(&all);
    outq_free(NULL);
}

static void small_frames_leave_together_in_order(void **state)
{
    (void)state;
    add(3, 'a', 1);
    add(4, 'b', 2);
    add(200, 'c', 3);
    assert_int_equal(q->bytes, 3 + 2 + 4 + 2 + 200 + 4);
    struct msg *big;
    size_t n = outq_take(q, 4, scratch, SOCKET_TX, &big);
    assert_int_equal(n, 215);
    assert_null(big);
    assert_memory_equal(scratch,
                        "\x81\x03"
                        "aaa\x81\x04"
                        "bbbb\x81\x7e\x00\xc8"
                        "cccc",
                        19);
    assert_true(outq_empty(q));
}

static void a_frame_larger_than_a_write_comes_by_reference_and_alone(void **state)
{
    (void)state;
    struct msg *m = frame_of(SOCKET_TX, 'm'); /* with its header: more */
    struct msg *big;
    add(10, 'a', 1);
    assert_true(outq_add(q, m, false, 1));
    add(10, 'b', 1);
    assert_int_equal(outq_take(q, 1, scratch, SOCKET_TX, &big), 12);
    assert_null(big);
    assert_int_equal(outq_take(q, 1, scratch, SOCKET_TX, &big), msg_frame(m).n);
    assert_ptr_equal(big, m);
    assert_int_equal(m->refs, 2);
    msg_unref(big);
    msg_unref(m);
    assert_int_equal(outq_take(q, 1, scratch, SOCKET_TX, &big), 12);
    assert_int_equal(q->bytes, 0);
}

static void anything_leaves_in_order_whole_and_counted(void **state)
{
    (void)state;
    random_begin("outq");
    for (int round = 0; round < 150; round++) {
        struct buf want = {0}, got = {0};
        for (uint32_t i = 1 + random_below(12); i; i--) {
            static const uint32_t scales[] = {10, 300, 70000, 200000};
            size_t n = 1 + random_below(scales[random_below(4)]);
            char fill = (char)('a' + random_below(26));
            if (one_in(3))
                add_reply(n, fill, 5);
            else
                add(n, fill, 5);
            assert_true(buf_reserve(&want, n));
            memset(want.p + want.n, fill, n);
            want.n += n;
        }
        drain(&got);
        assert_int_equal(got.n, want.n);
        assert_memory_equal(got.p, want.p, want.n);
        buf_deinit(&want);
        buf_deinit(&got);
    }
}

static void a_reply_leaves_in_pieces_so_that_others_writes_come_between(void **state)
{
    (void)state;
    struct msg *big;
    add_reply(200000, 'r', 1);
    size_t n = outq_take(q, 2, scratch, SOCKET_TX, &big);
    assert_in_range(n, 1, SOCKET_TX);
    assert_null(big);
    assert_false(outq_empty(q));
    assert_true((scratch[0] & 0x80) == 0); /* not the last */
}

/* Who takes nothing is closed for it; who takes a large reply slowly is not. */
static void age_is_that_of_the_first_and_counts_from_its_last_step(void **state)
{
    (void)state;
    struct msg *big;
    add_reply(200000, 'r', 100);
    add(5, 'x', 200);
    assert_int_equal(outq_oldest_ms(q), 100);
    (void)outq_take(q, 5000, scratch, SOCKET_TX, &big);
    assert_int_equal(outq_oldest_ms(q), 5000);
    while (q->bytes > 7)
        (void)outq_take(q, 6000, scratch, SOCKET_TX, &big);
    assert_int_equal(outq_oldest_ms(q), outq_empty(q) ? UINT64_MAX : 200);
}

static void what_is_dropped_is_let_go(void **state)
{
    (void)state;
    struct msg *m = frame_of(10, 'm');
    assert_true(outq_add(q, m, false, 1));
    assert_true(outq_add(q, m, false, 1));
    add_reply(10, 'r', 1);
    assert_int_equal(m->refs, 3);
    outq_free(q);
    q = NULL;
    assert_int_equal(m->refs, 1);
    msg_unref(m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(an_empty_queue_gives_nothing),
        TEST(small_frames_leave_together_in_order),
        TEST(a_frame_larger_than_a_write_comes_by_reference_and_alone),
        TEST(anything_leaves_in_order_whole_and_counted),
        TEST(a_reply_leaves_in_pieces_so_that_others_writes_come_between),
        TEST(age_is_that_of_the_first_and_counts_from_its_last_step),
        TEST(what_is_dropped_is_let_go),
    };
    return cmocka_run_group_tests_name("outq", tests, NULL, NULL);
}
