/* SPDX-License-Identifier: MIT */
/* words.h: text that is words and numbers, a space or another mark between. Pure; any thread. */
#ifndef MADANG_BASE_WORDS_H
#define MADANG_BASE_WORDS_H

#include "backplane/base/span.h"

#include <stdint.h>

/* What stands before the next mark, or all that is left; `rest` goes on behind the mark. */
static inline struct span cut(struct span *rest, char mark)
{
    if (!rest->n)
        return (struct span){0};
    const char *at = memchr(rest->p, mark, rest->n);
    struct span word = {rest->p, at ? (size_t)(at - rest->p) : rest->n};
    rest->p += word.n + (at != NULL);
    rest->n -= word.n + (at != NULL);
    return word;
}

static inline struct span cut_word(struct span *rest)
{
    return cut(rest, ' ');
}

/* A decimal number; false: it is none, or too large. */
static inline bool number_read(struct span s, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || *out > (UINT64_MAX - 9) / 10)
            return false;
        *out = *out * 10 + (uint64_t)(s.p[i] - '0');
    }
    return s.n > 0;
}

#endif
