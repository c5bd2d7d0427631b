/* SPDX-License-Identifier: MIT */
#include "gateway/close.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void every_reason_becomes_a_close_frame(void **state)
{
    (void)state;
    for (int r = 0; r < CLOSE_REASONS; r++) {
        const struct close_info *info = close_info(r);
        size_t text = strlen(info->text);
        struct msg *m = close_frame(r);
        assert_non_null(m);
        struct span frame = msg_frame(m);
        const unsigned char *p = (const unsigned char *)frame.p;
        assert_int_equal(frame.n, 2 + 2 + text);
        assert_int_equal(p[0], 0x88);     /* FIN, opcode 8 */
        assert_int_equal(p[1], 2 + text); /* not masked, one length byte */
        assert_int_equal(p[2] << 8 | p[3], info->code);
        assert_memory_equal(p + 4, info->text, text);
        msg_unref(m);
    }
}

/* What the official client does with a code and a text decides what they may be. */
static void codes_and_texts_are_such_as_clients_understand(void **state)
{
    (void)state;
    for (int r = 0; r < CLOSE_REASONS; r++) {
        const struct close_info *info = close_info(r);
        bool application = info->code >= 3000 && info->code <= 4999;
        assert_true(application || info->code == 1009);
        assert_true(strlen(info->text) > 0);        /* an empty one makes it reconnect for ever */
        assert_null(strpbrk(info->text, "{[\"\\")); /* JSON would be an instruction */
        for (const char *c = info->text; *c; c++)
            assert_true(*c >= ' ' && *c < 0x7F);
        for (int other = 0; other < r; other++)
            assert_int_not_equal(info->code, close_info(other)->code);
    }
}

static void what_may_come_back_has_a_code_that_says_so(void **state)
{
    static const enum close_reason back[] = {
        CLOSE_SHUTDOWN,    CLOSE_INTERNAL,         CLOSE_SLOW, CLOSE_NO_PONG, CLOSE_INSUFFICIENT,
        CLOSE_WRITE_ERROR, CLOSE_TOO_MANY_REQUESTS};
    static const enum close_reason terminal[] = {CLOSE_BAD_REQUEST, CLOSE_STALE,
                                                 CLOSE_NOT_AVAILABLE};

    (void)state;
    for (size_t i = 0; i < sizeof(back) / sizeof(back[0]); i++) {
        unsigned code = close_info(back[i])->code;
        assert_true((code >= 3000 && code < 3500) || (code >= 4000 && code < 4500));
    }
    for (size_t i = 0; i < sizeof(terminal) / sizeof(terminal[0]); i++) {
        unsigned code = close_info(terminal[i])->code;
        assert_true((code >= 3500 && code < 4000) || (code >= 4500 && code < 5000));
    }
}

static void a_slow_reader_is_not_waited_for(void **state)
{
    (void)state;
    assert_int_equal(close_info(CLOSE_SLOW)->flush, DISCARD_QUEUE);
    assert_int_equal(close_info(CLOSE_NO_PONG)->flush, DISCARD_QUEUE);
    assert_int_equal(close_info(CLOSE_SHUTDOWN)->flush, FLUSH_QUEUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_becomes_a_close_frame),
        cmocka_unit_test(codes_and_texts_are_such_as_clients_understand),
        cmocka_unit_test(what_may_come_back_has_a_code_that_says_so),
        cmocka_unit_test(a_slow_reader_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
