/* SPDX-License-Identifier: MIT */
#include "backplane/base/msg.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Reads a header of an unmasked text frame back; returns its size. */
static size_t read_header(const unsigned char *p, uint64_t *len)
{
    size_t extra = p[1] < 126 ? 0 : p[1] == 126 ? 2 : 8;

    assert_int_equal(p[0], 0x81); /* FIN, text, no extension bits */
    *len = extra ? 0 : p[1];
    for (size_t i = 0; i < extra; i++)
        *len = *len << 8 | p[2 + i];
    return 2 + extra;
}

static void a_header_has_the_shortest_form_of_its_length(void **state)
{
    static const struct {
        uint64_t len;
        size_t size;
    } rows[] = {{0, 2},     {1, 2},      {125, 2},      {126, 4},         {127, 4},
                {65535, 4}, {65536, 10}, {1 << 20, 10}, {UINT32_MAX, 10}, {INT64_MAX, 10}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char room[MSG_HEADROOM];
        uint64_t len;
        size_t size = ws_header((char *)room + sizeof(room), rows[i].len);
        assert_int_equal(size, rows[i].size);
        assert_int_equal(read_header(room + sizeof(room) - size, &len), size);
        assert_int_equal(len, rows[i].len);
    }
}

static void a_sealed_message_is_a_ready_frame(void **state)
{
    static const size_t sizes[] = {0, 1, 125, 126, 70000};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct msg *m = msg_new(sizes[i]);
        assert_non_null(m);
        for (size_t k = 0; k < sizes[i]; k++)
            msg_add(m, &"abc"[k % 3], 1);
        msg_seal(m);
        struct span frame = msg_frame(m), text = msg_text(m);
        uint64_t len;
        size_t head = read_header((const unsigned char *)frame.p, &len);
        assert_int_equal(len, sizes[i]);
        assert_int_equal(frame.n, head + sizes[i]);
        assert_ptr_equal(frame.p + head, text.p);
        assert_int_equal(text.n, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(text.p[k], "abc"[k % 3]);
        msg_unref(m);
    }
}

static void a_message_remembers_where_its_publication_lies(void **state)
{
    struct msg *m = msg_new(64);

    (void)state;
    assert_non_null(m);
    assert_int_equal(m->kind, MSG_OTHER);
    assert_int_equal(msg_pub(m).n, 0);
    msg_lit(m, "{\"push\":");
    m->pub_at = m->len;
    msg_lit(m, "{\"offset\":");
    msg_add_u64(m, UINT64_MAX);
    msg_lit(m, "}");
    m->pub_len = m->len - m->pub_at;
    msg_lit(m, "}");
    msg_seal(m);
    assert_true(span_eq(msg_pub(m), SPAN("{\"offset\":18446744073709551615}")));
    assert_true(span_eq(msg_text(m), SPAN("{\"push\":{\"offset\":18446744073709551615}}")));
    msg_unref(m);
}

static void a_message_larger_than_a_length_can_say_is_refused(void **state)
{
    (void)state;
    assert_null(msg_new((size_t)UINT32_MAX + 1));
    assert_null(msg_new(SIZE_MAX));
}

static void dropping_no_message_is_harmless(void **state)
{
    (void)state;
    msg_unref(NULL);
}

static void *read_and_drop(void *arg)
{
    struct msg *m = arg;
    long sum = 0;

    for (int i = 0; i < 10000; i++) {
        msg_ref(m);
        sum += msg_text(m).p[i % 4];
        msg_unref(m);
    }
    msg_unref(m);
    return (void *)(intptr_t)sum; /* NOLINT(performance-no-int-to-ptr) */
}

static void the_last_of_many_threads_frees_a_message(void **state)
{
    pthread_t threads[4];
    struct msg *m = msg_new(4);

    (void)state;
    assert_non_null(m);
    msg_lit(m, "\1\1\1\1");
    msg_seal(m);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_drop, msg_ref(m)), 0);
    msg_unref(m);
    for (size_t i = 0; i < 4; i++) {
        void *sum;
        assert_int_equal(pthread_join(threads[i], &sum), 0);
        assert_int_equal((intptr_t)sum, 10000);
    }
    /* the leak checker sees whether it was freed, the address sanitizer whether only once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_has_the_shortest_form_of_its_length),
        cmocka_unit_test(a_sealed_message_is_a_ready_frame),
        cmocka_unit_test(a_message_remembers_where_its_publication_lies),
        cmocka_unit_test(a_message_larger_than_a_length_can_say_is_refused),
        cmocka_unit_test(dropping_no_message_is_harmless),
        cmocka_unit_test(the_last_of_many_threads_frees_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
