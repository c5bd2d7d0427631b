/* SPDX-License-Identifier: MIT */
/* copy_kit.h: a copy of a store's file, made at once. */
#ifndef MADANG_TESTS_UNIT_COPY_KIT_H
#define MADANG_TESTS_UNIT_COPY_KIT_H

#include "backplane/store/copy.h"

static inline enum copy_state copy_at_once(struct file *f, const char *path, char *why)
{
    struct copy *c = copy_new(f, path, why);
    enum copy_state state = c ? COPY_MORE : COPY_FAILED;
    while (state == COPY_MORE)
        state = copy_step(c, 0, 1, why); /* as small as slices can be */
    copy_free(c);
    return state;
}

#endif
