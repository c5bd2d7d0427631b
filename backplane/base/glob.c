/* SPDX-License-Identifier: MIT */
#include "backplane/base/glob.h"

#include "backplane/base/utf8.h"

/* Bytes of the character at the front. */
static size_t width(struct span s)
{
    size_t n = utf8_seq(s);
    return n ? n : 1;
}

static struct span skip(struct span s, size_t n)
{
    return (struct span){s.p + n, s.n - n};
}

/* Takes one element that is no `*` off both; false if it does not fit. */
static bool step(struct span *pattern, struct span *name)
{
    if (!pattern->n || !name->n)
        return false;
    if (*pattern->p == '?') {
        *pattern = skip(*pattern, 1);
        *name = skip(*name, width(*name));
        return true;
    }
    size_t escape = *pattern->p == '\\' && pattern->n > 1;
    if (pattern->p[escape] != *name->p)
        return false;
    *pattern = skip(*pattern, escape + 1);
    *name = skip(*name, 1);
    return true;
}

/* Only the last `*` can be wrong: what an earlier one took could be taken by it too. */
bool glob_matches(struct span pattern, struct span name)
{
    struct span after_star = {0}, from = {0};
    bool star = false;
    while (pattern.n || name.n) {
        if (pattern.n && *pattern.p == '*') {
            pattern = after_star = skip(pattern, 1);
            from = name;
            star = true;
        } else if (!step(&pattern, &name)) {
            if (!star || !from.n)
                return false;
            from = skip(from, width(from));
            pattern = after_star;
            name = from;
        }
    }
    return true;
}
