/* SPDX-License-Identifier: MIT */
/* suggest.h: the known name that a misspelt one was probably meant to be.
 *
 * Offer every known name, then ask for the best. The distance is the number of letters to change,
 * add, leave out or swap; a name that lacks only a leading part ("queue-bytes" for
 * "hub-queue-bytes") counts as close.
 */
#ifndef MADANG_BASE_SUGGEST_H
#define MADANG_BASE_SUGGEST_H

#include <stddef.h>

#define SUGGEST_NAME_MAX 64

struct suggest {
    const char *wanted; /* borrowed */
    size_t distance;    /* of best; more than is close if there is none */
    char best[SUGGEST_NAME_MAX];
};

void suggest_init(struct suggest *s, const char *wanted);
void suggest_offer(struct suggest *s, const char *known);

/* The closest name offered, or NULL if none is close. Lives as long as s. */
const char *suggest_best(const struct suggest *s);

#endif
