/* SPDX-License-Identifier: MIT */
/* core_kit.h: what tests of the backplane and of rooms share: publications, random numbers with a
 * printed seed, comparisons that show both sides. */
#ifndef MADANG_TESTS_UNIT_CORE_KIT_H
#define MADANG_TESTS_UNIT_CORE_KIT_H

#include "backplane/base/count.h"
#include "backplane/base/msg.h"
#include "backplane/position.h"
#include "backplane/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* xorshift64*; good enough to wander about. */
static uint64_t random_state = 1;

static inline uint32_t random_next(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(random_state * 0x2545F4914F6CDD1DULL >> 32);
}

/* 0 … n - 1 */
static inline uint32_t random_below(uint32_t n)
{
    return random_next() % n;
}

static inline bool one_in(uint32_t n)
{
    return random_below(n) == 0;
}

/* TEST_SEED in the environment repeats a run; otherwise another one each time. */
static inline uint64_t random_begin(const char *what)
{
    const char *given = getenv("TEST_SEED"); /* NOLINT(concurrency-mt-unsafe): one thread */
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 1000003;
    printf("%s: TEST_SEED=%llu\n", what, (unsigned long long)seed);
    random_state = seed | 1;
    return seed;
}

/* An open publication, as a hub hands it over. */
static inline struct msg *publication(const char *room, const char *data)
{
    struct msg *m = push_open(span_str(room), span_str(data), (struct span){0}, (struct span){0});
    assert_non_null(m);
    return m;
}

/* A sealed push with `data` as its data. */
static inline struct msg *sealed(const char *room, const char *data, uint64_t offset)
{
    struct msg *m = publication(room, data);
    push_close(m, offset, 0);
    return m;
}

#define assert_span(s, text)                                                                       \
    do {                                                                                           \
        struct span span_ = (s);                                                                   \
        const char *text_ = (text);                                                                \
        if (span_.n != strlen(text_) || memcmp(span_.p, text_, span_.n) != 0)                      \
            fail_msg("%s is\n  %.*s\nand should be\n  %s", #s, (int)span_.n, span_.p, text_);      \
    } while (0)

#define assert_position(p, o, of_epoch)                                                            \
    do {                                                                                           \
        assert_int_equal((p).offset, (o));                                                         \
        assert_memory_equal((p).epoch, (of_epoch).epoch, EPOCH_MAX);                               \
    } while (0)

#endif
