/* SPDX-License-Identifier: MIT */
#include "backplane/rendezvous.h"

#include <assert.h>

/* The finalizer of splitmix64: every bit of the input changes half of the output. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* FNV-1a, mixed: it leaves the upper bits of short texts alone. */
static uint64_t hash(struct span text)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < text.n; i++)
        h = (h ^ (unsigned char)text.p[i]) * UINT64_C(0x100000001B3);
    return mix(h);
}

void rendezvous_add(struct rendezvous *r, struct span name)
{
    assert(r->count < RENDEZVOUS_MAX);
    r->node[r->count++] = hash(name);
}

size_t rendezvous_choose(const struct rendezvous *r, struct span key)
{
    uint64_t best = 0, h;
    size_t chosen = 0;
    assert(r->count);
    if (r->count == 1)
        return 0;
    h = hash(key);
    for (size_t i = 0; i < r->count; i++) {
        uint64_t weight = mix(h ^ r->node[i]);
        if (i && weight < best)
            continue;
        best = weight;
        chosen = i;
    }
    return chosen;
}
