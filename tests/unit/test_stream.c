/* SPDX-License-Identifier: MIT */
#include "backplane/stream.h"

#include "backplane/base/map.h"
#include "tests/unit/core_kit.h"

static const struct stream_limits roomy = {1000, 1 << 20, 0};
static const struct idempotency no_key;

static struct msg *append(struct stream *s, const struct stream_limits *l, uint64_t now)
{
    struct msg *m = sealed("r", "1", stream_top(s).offset + 1);
    assert_int_equal(stream_append(s, m, &no_key, l, now), OK);
    msg_unref(m); /* the stream has its own */
    return m;
}

static void a_new_stream_has_an_epoch_of_its_own_and_no_publications(void **state)
{
    (void)state;
    struct stream *a = stream_new(), *b = stream_new();
    struct position p = stream_top(a), q = stream_top(b);
    assert_int_equal(p.offset, 0);
    assert_int_equal(position_epoch(&p).n, 8);
    assert_false(span_eq(position_epoch(&p), position_epoch(&q)));
    for (size_t i = 0; i < 8; i++)
        assert_in_range(p.epoch[i], 'a', 'z'); /* stands in JSON and in log lines as it is */
    assert_int_equal(stream_count(a), 0);
    assert_int_equal(stream_bytes(a), 0);
    stream_free(a);
    stream_free(b);
    stream_free(NULL);
}

/* Against a plain list, with trims of every size, so that the ring wraps and grows anywhere. */
static void the_ring_holds_the_last_ones_whatever_was_dropped_when(void **state)
{
    (void)state;
    random_begin("stream");
    for (int round = 0; round < 200; round++) {
        struct stream *s = stream_new();
        uint64_t top = 0, kept = 0;
        for (int i = 0; i < 100; i++) {
            struct stream_limits l = {1 + random_below(40), 1 << 20, 0};
            struct msg *m = append(s, &l, 0);
            top++;
            kept = kept + 1 > l.count ? l.count : kept + 1;
            assert_int_equal(m->refs, 1);
            assert_int_equal(stream_count(s), kept);
            if (one_in(30)) {
                stream_clear(s);
                kept = 0;
            }
            struct stream_read r = {.max_count = UINT32_MAX, .max_bytes = SIZE_MAX};
            stream_answer(s, &r);
            assert_int_equal(r.count, kept);
            for (size_t n = 0; n < kept; n++)
                assert_int_equal(r.pubs[n]->offset, top - kept + 1 + n);
            stream_read_deinit(&r);
        }
        stream_free(s);
    }
}

static void bytes_are_those_of_what_is_kept(void **state)
{
    (void)state;
    struct stream *s = stream_new();
    const struct stream_limits three = {3, 1 << 20, 0};
    size_t each = append(s, &three, 0)->len;
    for (size_t i = 2; i < 9; i++) {
        append(s, &three, 0);
        assert_int_equal(stream_bytes(s), each * (i < 3 ? i : 3));
    }
    stream_clear(s);
    assert_int_equal(stream_bytes(s), 0);
    assert_int_equal(stream_top(s).offset, 8);
    stream_free(s);
}

static void one_can_be_replaced_wherever_it_lies_in_the_ring(void **state)
{
    (void)state;
    struct stream *s = stream_new();
    for (uint64_t top = 1; top <= 40; top++) {
        append(s, &(struct stream_limits){11, 1 << 20, 0}, 0);
        uint64_t first = top > 11 ? top - 10 : 1;
        for (uint64_t at = 0; at <= top + 1; at++) {
            struct msg *m = sealed("r", "\"another\"", at);
            bool kept = at >= first && at <= top;
            size_t before = stream_bytes(s);
            struct stream_read r = {.since = at - 1, .max_count = 1, .max_bytes = SIZE_MAX};
            if (at)
                stream_answer(s, &r);
            size_t old = kept ? r.pubs[0]->len : 0;
            stream_read_deinit(&r);
            assert_int_equal(stream_replace(s, m), kept);
            assert_int_equal(stream_bytes(s), before - old + (kept ? m->len : 0));
            assert_int_equal(m->refs, kept ? 2 : 1);
            msg_unref(m);
        }
        assert_int_equal(stream_top(s).offset, top);
        assert_int_equal(stream_count(s), top + 1 - first);
    }
    stream_clear(s);
    assert_int_equal(stream_bytes(s), 0);
    stream_free(s);
}

static void what_is_read_lives_on_when_the_stream_goes(void **state)
{
    (void)state;
    struct stream *s = stream_new();
    append(s, &roomy, 0);
    struct stream_read r = {.max_count = 1, .max_bytes = SIZE_MAX};
    stream_answer(s, &r);
    stream_free(s);
    assert_int_equal(r.pubs[0]->refs, 1);
    assert_span(msg_pub(r.pubs[0]), "{\"data\":1,\"offset\":1}");
    stream_read_deinit(&r);
    stream_read_deinit(&r); /* harmless */
}

static void age_counts_from_the_last_publication(void **state)
{
    (void)state;
    struct stream *s = stream_new();
    const struct stream_limits second = {10, 1 << 20, 1000};
    assert_false(stream_expire(s, &second, 5000)); /* nothing to drop */
    append(s, &second, 5000);
    append(s, &second, 5900);
    assert_false(stream_expire(s, &second, 6900));
    assert_false(stream_expire(s, &roomy, UINT64_MAX)); /* kept for good */
    assert_true(stream_expire(s, &second, 6901));
    assert_int_equal(stream_count(s), 0);
    assert_int_equal(stream_top(s).offset, 2);
    stream_free(s);
}

static void a_key_is_known_exactly_as_long_as_its_publication(void **state)
{
    (void)state;
    struct stream *s = stream_new();
    const struct stream_limits five = {5, 1 << 20, 0};
    for (uint64_t i = 1; i <= 100; i++) {
        struct idempotency k = {true, {i, i * 3}, i * 7, 0};
        struct msg *m = sealed("r", "1", i);
        assert_int_equal(stream_append(s, m, &k, &five, 0), OK);
        msg_unref(m);
        for (uint64_t j = 1; j <= i; j++) {
            struct idempotency asked = {true, {j, j * 3}, j % 2 ? j * 7 : 0, 0};
            uint64_t offset = 0;
            bool same = false;
            assert_int_equal(stream_find_key(s, &asked, &offset, &same), j + 5 > i);
            if (j + 5 > i) {
                assert_int_equal(offset, j);
                assert_int_equal(same, j % 2);
            }
        }
    }
    stream_clear(s);
    struct idempotency last = {true, {100, 300}, 700, 0};
    uint64_t offset;
    bool same;
    assert_false(stream_find_key(s, &last, &offset, &same));
    stream_free(s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_stream_has_an_epoch_of_its_own_and_no_publications),
        cmocka_unit_test(the_ring_holds_the_last_ones_whatever_was_dropped_when),
        cmocka_unit_test(bytes_are_those_of_what_is_kept),
        cmocka_unit_test(one_can_be_replaced_wherever_it_lies_in_the_ring),
        cmocka_unit_test(what_is_read_lives_on_when_the_stream_goes),
        cmocka_unit_test(age_counts_from_the_last_publication),
        cmocka_unit_test(a_key_is_known_exactly_as_long_as_its_publication),
    };
    map_seed();
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
