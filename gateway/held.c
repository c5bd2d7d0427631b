/* SPDX-License-Identifier: MIT */
#include "gateway/held.h"

#include <stdlib.h>

struct held *held_new(const struct held *from)
{
    size_t n = from->id.n + from->token.n + from->queue.n + from->kind.n + from->data.n;
    struct held *h = malloc(sizeof(*h) + n);

    if (!h)
        return NULL;
    char *at = h->bytes;
    h->id = span_copy(&at, from->id);
    h->token = span_copy(&at, from->token);
    h->queue = span_copy(&at, from->queue);
    h->kind = span_copy(&at, from->kind);
    h->data = span_copy(&at, from->data);
    h->deliveries = from->deliveries;
    h->failures = from->failures;
    return h;
}
