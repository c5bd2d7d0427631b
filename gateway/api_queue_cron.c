/* SPDX-License-Identifier: MIT */
/* queue_cron: which jobs come again and again, and when next. */
#include "gateway/api_queue.h"

#include "backplane/base/loop.h"

static void write_entry(struct buf *b, const struct cron_entry *e, uint64_t now)
{
    bool local = e->zone == ZONE_LOCAL;
    uint64_t next = schedule_next(&e->when, now, local);
    api_queue_text(b, "{\"name\":", span_str(e->name));
    api_queue_text(b, ",\"schedule\":", span_str(e->schedule));
    buf_fmt(b, ",\"time_zone\":\"%s\"", local ? "local" : "utc");
    api_queue_text(b, ",\"queue\":", span_str(e->queue));
    api_queue_text(b, ",\"kind\":", span_str(e->kind));
    if (next != SCHEDULE_NEVER)
        api_queue_number(b, ",\"next_at\":", next);
    buf_char(b, '}');
}

void api_queue_cron(struct api_task *t)
{
    const struct options *o = t->call->hub->settings->options;
    uint64_t now = wall_ms();
    buf_lit(&t->result, "{\"entries\":[");
    for (size_t i = 0; i < o->cron_count; i++) {
        if (i)
            buf_char(&t->result, ',');
        write_entry(&t->result, &o->cron[i], now);
    }
    buf_lit(&t->result, "]}");
    api_done(t, OK);
}
