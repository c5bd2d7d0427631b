/* SPDX-License-Identifier: MIT */
/* tally.h: how many there are in which room, added up. Belongs to one thread. */
#ifndef MADANG_BACKPLANE_TALLY_H
#define MADANG_BACKPLANE_TALLY_H

#include "backplane/base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct tally;

struct tally *tally_new(void); /* NULL: no memory */
void tally_free(struct tally *t);

bool tally_add(struct tally *t, struct span room, uint64_t count); /* false: no memory */
/* What was counted there, which is forgotten; 0: nothing. NULL is an empty tally. */
uint64_t tally_take(struct tally *t, struct span room);
/* The name of any room that is counted, until that is taken; false: there is none. */
bool tally_any(const struct tally *t, struct span *room);
size_t tally_bytes(const struct tally *t); /* of all names */

#endif
