/* SPDX-License-Identifier: MIT */
#include "backplane/caused.h"

#include "backplane/base/buf.h"
#include "backplane/base/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The room's name, or what stands for it if that is too long for a key. */
static struct span key_of(struct span room, char out[QUEUE_KEY_MAX])
{
    if (room.n <= QUEUE_KEY_MAX)
        return room;
    int n = snprintf(out, QUEUE_KEY_MAX, "\t%016" PRIx64 "%016" PRIx64, /* a tab is in no name */
                     common_hash(room.p, room.n, 0), common_hash(room.p, room.n, 1));
    return (struct span){out, (size_t)n};
}

struct caused *caused_notify(struct span room, uint64_t delay_ms, const struct queue_rules *rules)
{
    char long_key[QUEUE_KEY_MAX];
    struct span key = key_of(room, long_key);
    struct buf text = {0};
    buf_span(&text, key);
    buf_lit(&text, "{\"channel\":");
    buf_json(&text, room);
    buf_char(&text, '}');
    struct caused *c = text.failed ? NULL : calloc(1, sizeof(*c) + text.n);
    if (c) {
        memcpy(c->text, text.p, text.n);
        if (rules)
            c->rules = *rules;
        c->queue = (struct queue_ref){SPAN(NOTIFY_QUEUE), rules ? &c->rules : NULL};
        c->job = (struct queue_job){.kind = SPAN(NOTIFY_KIND),
                                    .key = {c->text, key.n},
                                    .data = {c->text + key.n, text.n - key.n},
                                    .key_ms = QUEUE_DELAY_MAX,
                                    .delay_ms = delay_ms,
                                    .again = true};
    }
    buf_deinit(&text);
    return c;
}
