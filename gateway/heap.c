/* SPDX-License-Identifier: MIT */
#include "gateway/heap.h"

#include "backplane/base/log.h"
#include "gateway/hub.h"

#include <malloc.h>

#define LOOK_MS 1000
/* What a connection takes, roughly: the session, the library's part, its first subscription. */
#define CONNECTION_BYTES 2560
/* What the library keeps of a request until it is answered. */
#define HANDSHAKE_BYTES (size_t)9216
/* Less is not worth it. */
#define LET_GO_MIN ((size_t)2 * 1024 * 1024)
/* It is still falling. */
#define FALL_MIN ((size_t)256 * 1024)

static size_t hub_holds(const struct hub_counters *c)
{
    uint64_t closed = counter_get(&c->sockets_closed), opened = counter_get(&c->sockets_opened);
    uint64_t connections = opened > closed ? opened - closed : 0;
    return (size_t)(connections * CONNECTION_BYTES + counter_get(&c->handshakes) * HANDSHAKE_BYTES +
                    counter_get(&c->queued_bytes) + counter_get(&c->pending_bytes) +
                    counter_get(&c->input_bytes) + counter_get(&c->api_bytes));
}

static size_t all_hold(const struct gateway *g)
{
    size_t n = (size_t)counter_get(&sequencer_counters(g->sequencer)->stream_bytes);
    for (uint32_t i = 0; i < g->hub_count; i++)
        n += hub_holds(hub_counters(g->hubs[i]));
    return n;
}

bool heap_due(struct heap_watch *w, size_t held)
{
    bool falling = held + FALL_MIN < w->last;
    w->last = held;
    if (held > w->peak)
        w->peak = held;
    if (falling || w->peak - held < LET_GO_MIN)
        return false;
    w->peak = held;
    return true;
}

static void look(struct timer *t)
{
    struct heap_watch *w = container_of(t, struct heap_watch, timer);
    if (heap_due(w, all_hold(w->gateway))) {
        uint64_t before = uv_hrtime();
        int released = malloc_trim(0);
        log_debug("memory was let go: %s within %llu us", released ? "given back" : "none free",
                  (unsigned long long)(uv_hrtime() - before) / 1000);
    }
    loop_arm(w->gateway->main_loop, t, LOOK_MS, look);
}

void heap_watch_start(struct heap_watch *w, const struct gateway *g)
{
    w->gateway = g;
    loop_arm(g->main_loop, &w->timer, LOOK_MS, look);
}

void heap_watch_stop(struct heap_watch *w)
{
    if (w->gateway)
        loop_cancel(w->gateway->main_loop, &w->timer);
}
