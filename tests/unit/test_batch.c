/* SPDX-License-Identifier: MIT */
#include "rooms/batch.h"

#include "tests/unit/core_kit.h"

static struct msg *text_of(const char *text, size_t n, enum msg_kind kind)
{
    struct msg *m = msg_new(n);
    assert_non_null(m);
    msg_add(m, text, n);
    m->kind = (uint8_t)kind;
    msg_seal(m);
    return m;
}

static void add(struct batch *b, const char *text, enum msg_kind kind)
{
    struct msg *m = text_of(text, strlen(text), kind);
    assert_false(batch_full(b, m));
    batch_add(b, m);
    msg_unref(m);
}

static struct msg *frame(struct batch *b, enum sub_class class)
{
    struct msg *m = batch_frame(b, class, false);
    assert_false(b->failed);
    return m;
}

static void a_lone_push_is_sent_from_its_own_buffer(void **state)
{
    (void)state;
    struct batch *b = batch_new(7, NULL);
    struct msg *m = text_of("{1}", 3, MSG_PUBLICATION);
    assert_int_equal(b->number, 7);
    batch_add(b, m);
    assert_ptr_equal(frame(b, CLASS_PLAIN), m);
    assert_ptr_equal(frame(b, CLASS_JOIN_LEAVE), m);
    batch_free(b);
    msg_unref(m);
}

static void several_are_joined_by_newlines_once(void **state)
{
    (void)state;
    struct batch *b = batch_new(0, NULL);
    add(b, "{1}", MSG_PUBLICATION);
    add(b, "{2}", MSG_OTHER);
    add(b, "{3}", MSG_PUBLICATION);
    struct msg *m = frame(b, CLASS_PLAIN);
    assert_span(msg_text(m), "{1}\n{2}\n{3}");
    assert_true(m->head > 0);
    assert_ptr_equal(frame(b, CLASS_PLAIN), m);
    assert_ptr_equal(frame(b, CLASS_JOIN_LEAVE), m); /* nothing in it that only some may get */
    batch_free(b);
}

static void each_class_gets_its_own_bytes(void **state)
{
    (void)state;
    struct batch *b = batch_new(0, NULL);
    add(b, "{join}", MSG_JOIN);
    add(b, "{1}", MSG_PUBLICATION);
    add(b, "{leave}", MSG_LEAVE);
    assert_span(msg_text(frame(b, CLASS_PLAIN)), "{1}");
    assert_span(msg_text(frame(b, CLASS_JOIN_LEAVE)), "{join}\n{1}\n{leave}");
    batch_free(b);
}

static void joins_alone_are_nothing_for_others(void **state)
{
    (void)state;
    struct batch *b = batch_new(0, NULL);
    add(b, "{join}", MSG_JOIN);
    assert_null(frame(b, CLASS_PLAIN));
    assert_span(msg_text(frame(b, CLASS_JOIN_LEAVE)), "{join}");
    batch_free(b);
}

static void a_frame_holds_at_most_64_pushes(void **state)
{
    (void)state;
    struct batch *b = batch_new(0, NULL);
    for (int i = 0; i < BATCH_MSGS; i++)
        add(b, "{}", MSG_PUBLICATION);
    struct msg *m = text_of("{}", 2, MSG_PUBLICATION);
    assert_true(batch_full(b, m));
    msg_unref(m);
    batch_free(b);
}

/* Two pushes of any sizes: they share a frame exactly if it is no longer than 64 KiB. */
static void a_frame_of_several_is_at_most_64_kib_and_a_lone_one_may_be_longer(void **state)
{
    (void)state;
    char *text = malloc(2 * BATCH_BYTES);
    assert_non_null(text);
    memset(text, 'x', 2 * BATCH_BYTES);
    static const size_t firsts[] = {1, 30000, BATCH_BYTES - 2, BATCH_BYTES, 2 * BATCH_BYTES};
    for (size_t f = 0; f < COUNT_OF(firsts); f++) {
        for (size_t second = BATCH_BYTES - 4; second < BATCH_BYTES + 4; second++) {
            size_t n = second > firsts[f] ? second - firsts[f] : 1;
            struct batch *b = batch_new(0, NULL);
            struct msg *one = text_of(text, firsts[f], MSG_PUBLICATION);
            struct msg *two = text_of(text, n, MSG_PUBLICATION);
            assert_false(batch_full(b, one));
            batch_add(b, one);
            if (!batch_full(b, two)) {
                batch_add(b, two);
                assert_in_range(frame(b, CLASS_PLAIN)->len, firsts[f] + 1 + n, BATCH_BYTES);
            } else {
                assert_true(firsts[f] + 1 + n >= BATCH_BYTES); /* never without need */
                assert_ptr_equal(frame(b, CLASS_PLAIN), one);
            }
            batch_free(b);
            msg_unref(one);
            msg_unref(two);
        }
    }
    free(text);
}

static void what_is_joined_is_let_go_with_the_batch_and_not_before(void **state)
{
    (void)state;
    struct batch *b = batch_new(0, NULL);
    struct msg *one = text_of("{1}", 3, MSG_PUBLICATION);
    batch_add(b, one);
    add(b, "{2}", MSG_PUBLICATION);
    struct msg *m = msg_ref(frame(b, CLASS_PLAIN));
    assert_int_equal(one->refs, 2);
    batch_free(b);
    assert_int_equal(one->refs, 1);
    assert_span(msg_text(m), "{1}\n{2}"); /* a session's queue may keep the frame */
    msg_unref(m);
    msg_unref(one);
    batch_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_push_is_sent_from_its_own_buffer),
        cmocka_unit_test(several_are_joined_by_newlines_once),
        cmocka_unit_test(each_class_gets_its_own_bytes),
        cmocka_unit_test(joins_alone_are_nothing_for_others),
        cmocka_unit_test(a_frame_holds_at_most_64_pushes),
        cmocka_unit_test(a_frame_of_several_is_at_most_64_kib_and_a_lone_one_may_be_longer),
        cmocka_unit_test(what_is_joined_is_let_go_with_the_batch_and_not_before),
    };
    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
