/* SPDX-License-Identifier: MIT */
/* held.h: a job that a worker holds by a lease, as whoever handed it out described it. */
#ifndef MADANG_GATEWAY_HELD_H
#define MADANG_GATEWAY_HELD_H

#include "backplane/base/span.h"

#include <stdint.h>

struct held {
    struct span id;    /* opaque; the same at each delivery */
    struct span token; /* of the lease */
    struct span queue, kind;
    struct span data; /* JSON text */
    uint32_t deliveries, failures;
    char bytes[];
};

/* A copy with these texts, which stay the caller's; NULL: no memory. Freed with free(). */
struct held *held_new(const struct held *from);

#endif
