/* SPDX-License-Identifier: MIT */
#include "gateway/describe.h"

#include "gateway/gateway.h"
#include "gateway/hub.h"

#include <unistd.h>

static void number(struct buf *b, const char *name, uint64_t value)
{
    buf_lit(b, ",\"");
    buf_str(b, name);
    buf_lit(b, "\":");
    buf_u64(b, value);
}

void describe_gateway(void *gateway, struct buf *b)
{
    const struct gateway *g = gateway;
    uint64_t clients = 0, users = 0, subs = 0;
    char host[256] = "";
    for (uint32_t i = 0; i < g->hub_count; i++) {
        const struct hub_counters *c = hub_counters(g->hubs[i]);
        clients += counter_get(&c->sessions);
        users += counter_get(&c->users);
        subs += counter_get(&c->subscriptions);
    }
    (void)gethostname(host, sizeof(host) - 1);
    buf_lit(b, "{\"uid\":");
    buf_json(b, span_str(g->node));
    buf_lit(b, ",\"name\":");
    buf_json(b, span_str(host));
    buf_lit(b, ",\"version\":\"madang " MADANG_VERSION "\"");
    number(b, "num_clients", clients);
    number(b, "num_users", users);
    number(b, "num_subs", subs);
    number(b, "num_channels", counter_get(&sequencer_counters(g->sequencer)->occupied));
    number(b, "uptime", (wall_ms() - g->started_ms) / 1000);
    buf_char(b, '}');
}
