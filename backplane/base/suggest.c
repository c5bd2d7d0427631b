/* SPDX-License-Identifier: MIT */
#include "backplane/base/suggest.h"

#include <stdbool.h>
#include <string.h>

#define JOINERS "-_ "

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Optimal string alignment: edits and swaps of neighbours. Both names are shorter than
 * SUGGEST_NAME_MAX. Three rows are enough: a swap looks two rows back. */
static size_t distance(const char *a, size_t an, const char *b, size_t bn)
{
    size_t rows[3][SUGGEST_NAME_MAX];
    for (size_t j = 0; j <= bn; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= an; i++) {
        size_t *row = rows[i % 3];
        const size_t *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= bn; j++) {
            row[j] = min3(up[j] + 1, row[j - 1] + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < row[j])
                row[j] = up2[j - 2] + 1;
        }
    }
    return rows[an % 3][bn];
}

/* True if `whole` is something, a joiner, and then `part`. */
static bool ends_with(const char *whole, size_t wn, const char *part, size_t pn)
{
    return pn > 2 && wn > pn + 1 && memcmp(whole + wn - pn, part, pn) == 0 &&
           strchr(JOINERS, whole[wn - pn - 1]);
}

void suggest_init(struct suggest *s, const char *wanted)
{
    size_t n = strlen(wanted);
    *s = (struct suggest){.wanted = wanted, .distance = (n < 6 ? 2 : n / 3) + 1};
}

void suggest_offer(struct suggest *s, const char *known)
{
    size_t wn = strlen(s->wanted), kn = strlen(known);
    if (wn == 0 || wn >= SUGGEST_NAME_MAX || kn >= SUGGEST_NAME_MAX)
        return;
    size_t d = ends_with(known, kn, s->wanted, wn) || ends_with(s->wanted, wn, known, kn)
                   ? 1
                   : distance(s->wanted, wn, known, kn);
    if (d < s->distance && d < kn) {
        s->distance = d;
        memcpy(s->best, known, kn + 1);
    }
}

const char *suggest_best(const struct suggest *s)
{
    return s->best[0] ? s->best : NULL;
}
