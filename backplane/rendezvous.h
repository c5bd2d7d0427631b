/* SPDX-License-Identifier: MIT */
/* rendezvous.h: which of several nodes a key belongs to, by highest random weight.
 *
 * Everyone who knows the same names comes to the same answer, in whatever order they stand. Each
 * node gets an even share of the keys. If a node is added, only keys that are its own from then on
 * move; if one is taken away, only its keys do. Names are hashed, not addresses, so a node may
 * move to another machine. The hashes are part of what is stored: they never change.
 */
#ifndef MADANG_BACKPLANE_RENDEZVOUS_H
#define MADANG_BACKPLANE_RENDEZVOUS_H

#include "backplane/base/span.h"

#include <stdint.h>

#define RENDEZVOUS_MAX 16

/* Plain data. */
struct rendezvous {
    uint64_t node[RENDEZVOUS_MAX];
    size_t count;
};

void rendezvous_add(struct rendezvous *r, struct span name); /* at most RENDEZVOUS_MAX, asserted */

/* The index, in order of adding, of the node that the key belongs to; there must be one. Takes time
 * in the number of nodes, and none worth mentioning if there is but one. */
size_t rendezvous_choose(const struct rendezvous *r, struct span key);

#endif
