/* SPDX-License-Identifier: MIT */
#include "gateway/stream_reply.h"

#include "tests/unit/core_kit.h"
#include "tests/unit/ws_kit.h"

static struct buf text; /* of the reply at hand */

/* A reply of `count` publications, whose text is also left in `text`. */
static struct stream_reply *reply(const char *head, size_t count, size_t size, const char *tail)
{
    struct msg **pubs = count ? malloc(count * sizeof(struct msg *)) : NULL;
    char *data = malloc(size + 3);
    assert_true(data && (pubs || !count));
    buf_clear(&text);
    buf_str(&text, head);
    for (size_t i = 0; i < count; i++) {
        memset(data, 'a' + (int)(i % 26), size + 2);
        data[0] = data[size + 1] = '"';
        data[size + 2] = '\0';
        pubs[i] = sealed("r", data, i + 1);
        if (i)
            buf_char(&text, ',');
        buf_span(&text, msg_pub(pubs[i]));
    }
    buf_str(&text, tail);
    free(data);
    struct stream_reply *r = stream_reply_new(pubs, count);
    assert_non_null(r);
    buf_str(&r->head, head);
    buf_str(&r->tail, tail);
    assert_int_equal(stream_reply_bytes(r), text.n);
    return r;
}

/* Takes all fragments of at most cap bytes; what they say must be `text`. */
static size_t take_all(struct stream_reply *r, size_t cap)
{
    char *to = malloc(cap); /* of exactly this size, so that nothing is written behind it unseen */
    struct ws_reader reader = {0};
    size_t fragments = 0, taken = 0;
    assert_non_null(to);
    for (bool last = false; !last; fragments++) {
        size_t n = stream_reply_fragment(r, to, cap, &last);
        assert_in_range(n, 3, cap);
        struct span bytes = {to, n};
        assert_int_equal(ws_step(&reader, &bytes), last ? WS_MESSAGE : WS_MORE);
        assert_int_equal(bytes.n, 0);
        assert_true(reader.message.n > taken); /* always some progress */
        taken = reader.message.n;
        assert_int_equal(r->taken, taken);
    }
    assert_int_equal(reader.message.n, text.n);
    assert_memory_equal(reader.message.p, text.p, text.n);
    buf_deinit(&reader.message);
    free(to);
    return fragments;
}

static void fragments_of_every_size_make_up_the_exact_text(void **state)
{
    (void)state;
    static const char *heads[] = {"{", "{\"id\":1,\"history\":{\"publications\":["};
    for (size_t count = 0; count < 5; count++) {
        for (size_t size = 0; size < 4; size++) {
            for (size_t cap = MSG_HEADROOM + 1; cap < 300; cap++) {
                struct stream_reply *r = reply(heads[cap % 2], count, size * 7, "]}}");
                take_all(r, cap);
                stream_reply_free(r);
            }
        }
    }
    buf_deinit(&text);
}

static void every_length_of_header_is_right(void **state)
{
    (void)state;
    static const size_t sizes[] = {100,   125,   126,   127,    128,    65500,
                                   65535, 65536, 65537, 100000, 200000, 70000};
    static const size_t caps[] = {130, 140, 65536, 65545, 65546, 65550, 70000, 300000};
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        for (size_t c = 0; c < COUNT_OF(caps); c++) {
            struct stream_reply *r = reply("[", 2, sizes[s], "]");
            take_all(r, caps[c]);
            stream_reply_free(r);
        }
    }
    buf_deinit(&text);
}

static void what_fits_is_one_frame(void **state)
{
    (void)state;
    struct stream_reply *r = reply("[", 3, 10, "]");
    assert_int_equal(take_all(r, text.n + MSG_HEADROOM), 1);
    stream_reply_free(r);
    r = reply("[", 3, 10, "]");
    assert_int_equal(take_all(r, text.n + MSG_HEADROOM - 1), 2);
    stream_reply_free(r);
    buf_deinit(&text);
}

static void publications_are_shared_and_let_go(void **state)
{
    (void)state;
    struct msg *m = sealed("r", "1", 1);
    struct msg **pubs = malloc(sizeof(struct msg *));
    pubs[0] = msg_ref(m);
    struct stream_reply *r = stream_reply_new(pubs, 1);
    assert_int_equal(m->refs, 2);
    stream_reply_free(r);
    assert_int_equal(m->refs, 1);
    msg_unref(m);
    stream_reply_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(fragments_of_every_size_make_up_the_exact_text),
        cmocka_unit_test(every_length_of_header_is_right),
        cmocka_unit_test(what_fits_is_one_frame),
        cmocka_unit_test(publications_are_shared_and_let_go),
    };
    return cmocka_run_group_tests_name("stream_reply", tests, NULL, NULL);
}
