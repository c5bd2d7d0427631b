/* SPDX-License-Identifier: MIT */
/* loop_kit.h: a loop for each test of a program. */
#ifndef MADANG_TESTS_UNIT_LOOP_KIT_H
#define MADANG_TESTS_UNIT_LOOP_KIT_H

#include "backplane/base/loop.h"

static struct loop loop;

static inline int loop_set_up(void **state)
{
    (void)state;
    return loop_init(&loop);
}

static inline int loop_tear_down(void **state)
{
    (void)state;
    return loop_deinit(&loop);
}

#endif
