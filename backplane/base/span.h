/* SPDX-License-Identifier: MIT */
/* span.h: a borrowed run of bytes, not terminated. Whoever made the bytes owns them. */
#ifndef MADANG_BASE_SPAN_H
#define MADANG_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *p; /* NULL only if n is 0: "absent" */
    size_t n;
};

/* A span over a string literal; the second form initialises static tables. */
#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})
/* clang-format off */
#define SPAN_INIT(literal) {"" literal, sizeof(literal) - 1}
/* clang-format on */

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline struct span span_str(const char *s)
{
    return (struct span){s, s ? strlen(s) : 0};
}

/* Copies to *at, which is moved behind it; the copy. */
static inline struct span span_copy(char **at, struct span s)
{
    struct span kept = {*at, s.n};
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return kept;
}

#endif
