/* SPDX-License-Identifier: MIT */
#include "gateway/pulse.h"

#include "gateway/hub.h"

#include <stdio.h>

#define NS_PER_MS 1000000

static uint64_t age_of(const struct loop *l)
{
    uint64_t beat = atomic_load_explicit(&l->heartbeat_ms, memory_order_relaxed);
    uint64_t now = uv_hrtime() / NS_PER_MS; /* the clock of all loops */
    return now > beat ? now - beat : 0;
}

static bool is_of_a_hub(const struct gateway *g, const struct loop *l)
{
    for (uint32_t i = 0; i < g->hub_count; i++)
        if (g->hubs[i]->loop == l)
            return true;
    return false;
}

size_t pulses(const struct gateway *g, struct pulse out[PULSES_MAX])
{
    size_t n = 0;

    out[n++] = (struct pulse){"main", age_of(g->main_loop)};
    if (!is_of_a_hub(g, g->sequencer_loop))
        out[n++] = (struct pulse){"sequencer", age_of(g->sequencer_loop)};
    for (uint32_t i = 0; i < g->hub_count; i++) {
        out[n].age_ms = age_of(g->hubs[i]->loop);
        (void)snprintf(out[n].thread, sizeof(out[n].thread), "hub %u", (unsigned)i);
        n++;
    }
    return n;
}

bool pulses_beat(const struct gateway *g)
{
    struct pulse list[PULSES_MAX];
    size_t n = pulses(g, list);

    for (size_t i = 0; i < n; i++)
        if (list[i].age_ms > PULSE_STUCK_MS)
            return false;
    return true;
}
