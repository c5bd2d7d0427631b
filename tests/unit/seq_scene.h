/* SPDX-License-Identifier: MIT */
/* seq_scene.h: what tests of the sequencer have in common: limits, ways to subscribe, a harness
 * that is opened before each test and found empty after it. */
#ifndef MADANG_TESTS_UNIT_SEQ_SCENE_H
#define MADANG_TESTS_UNIT_SEQ_SCENE_H

#include "tests/unit/seq_kit.h"

#define BOUND 1000 /* bytes of pushes that may wait for a hub */

static const struct stream_limits ring = {1000, 1 << 20, 0}, short_ring = {5, 1 << 20, 0}, none;
static const struct ask plain = {.limits = {1000, 1 << 20, 0}};
static const struct ask brief = {.limits = {5, 1 << 20, 0}};
static const struct ask streamless = {0};
static const struct ask chat = {
    .limits = {1000, 1 << 20, 0}, .presence = true, .announce = true, .join_leave = true};

static inline struct sequencer_config config(void)
{
    return (struct sequencer_config){.driver = &local_driver,
                                     .max_stream_bytes = 64 << 20,
                                     .hub_inbox_bytes = BOUND,
                                     .max_rooms = 1000,
                                     .max_sanctions = 100};
}

static inline int start(void **state)
{
    struct sequencer_config c = config();
    (void)state;
    harness_open(&c, false);
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    harness_close();
    return 0;
}

static inline void restart(struct sequencer_config c, bool near)
{
    harness_close();
    harness_open(&c, near);
}

/* From hub 3, which looks at once. */
static inline void publish_many(char room, int n, const struct stream_limits *limits)
{
    for (int i = 0; i < n; i++)
        publish(&hubs[3], room, "\"some text, to weigh something\"", limits);
    seq_run();
    hub_take(&hubs[3]);
    buf_clear(&hubs[3].log);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

#endif
