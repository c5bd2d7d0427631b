/* SPDX-License-Identifier: MIT */
#include "gateway/metrics_queues.h"

#include "backplane/base/count.h"
#include "backplane/base/loop.h"

#include <stdio.h>

/* Numbers of queues that stand under one name, told apart by a label. */
struct part {
    const char *label;
    enum queue_number number;
};

static const struct part STATES[] = {
    {"ready", NUMBER_ready},     {"leased", NUMBER_leased}, {"delayed", NUMBER_delayed},
    {"blocked", NUMBER_blocked}, {"dead", NUMBER_dead},
};

static const struct part EVENTS[] = {
    {"put", NUMBER_put},     {"repeated", NUMBER_repeated},   {"delivered", NUMBER_delivered},
    {"acked", NUMBER_acked}, {"failed", NUMBER_failed},       {"lapsed", NUMBER_lapsed},
    {"died", NUMBER_died},   {"cancelled", NUMBER_cancelled},
};

/* As a value of a label. */
static void add_name(struct buf *b, const struct queue_name *name)
{
    for (size_t i = 0; i < name->n; i++) {
        char c = name->p[i];
        if (c == '"' || c == '\\')
            buf_char(b, '\\');
        if (c == '\n')
            buf_lit(b, "\\n");
        else
            buf_char(b, c);
    }
}

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void line(struct buf *b, const char *metric, const struct queue_gauge *q, const char *label,
                 uint64_t value)
{
    buf_fmt(b, "%s{queue=\"", metric);
    add_name(b, &q->name);
    buf_fmt(b, "\"%s} %llu\n", label, (unsigned long long)value);
}

/* Numbers of every queue under one name. */
struct family {
    const char *name, *label;
    const struct part *list;
    size_t count;
};

static void parts(struct buf *b, const struct queue_gauges *w, size_t n, const struct family *f)
{
    char text[40];
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < f->count; k++) {
            (void)snprintf(text, sizeof(text), ",%s=\"%s\"", f->label, f->list[k].label);
            line(b, f->name, &w->list[i], text, counter_get(&w->list[i].number[f->list[k].number]));
        }
    }
}

/* How long the oldest job that is ready has been there. */
static uint64_t age_s(const struct queue_gauge *q)
{
    uint64_t since = counter_get(&q->oldest_ms), now = wall_ms();
    return since && since < now ? (now - since) / 1000 : 0;
}

void metrics_queues(struct buf *b, struct queue_gauges *w)
{
    size_t n = queue_gauges_read(w);
    if (!n)
        return;
    head(b, "madang_queue_jobs", "gauge", "Jobs of each queue, by state");
    parts(b, w, n, &(struct family){"madang_queue_jobs", "state", STATES, COUNT_OF(STATES)});
    head(b, "madang_queue_events_total", "counter",
         "What happened to jobs of each queue since it was made");
    parts(b, w, n,
          &(struct family){"madang_queue_events_total", "event", EVENTS, COUNT_OF(EVENTS)});
    head(b, "madang_queue_bytes", "gauge", "Bytes of data of jobs that are not dead");
    for (size_t i = 0; i < n; i++)
        line(b, "madang_queue_bytes", &w->list[i], "",
             counter_get(&w->list[i].number[NUMBER_bytes]));
    head(b, "madang_queue_oldest_ready_seconds", "gauge",
         "Age of the oldest job that is ready; 0: there is none");
    for (size_t i = 0; i < n; i++)
        line(b, "madang_queue_oldest_ready_seconds", &w->list[i], "", age_s(&w->list[i]));
    head(b, "madang_queue_paused", "gauge", "1 while nothing is handed out");
    for (size_t i = 0; i < n; i++)
        line(b, "madang_queue_paused", &w->list[i], "", counter_get(&w->list[i].paused));
    head(b, "madang_queue_draining", "gauge", "1 while nothing new is taken in");
    for (size_t i = 0; i < n; i++)
        line(b, "madang_queue_draining", &w->list[i], "", counter_get(&w->list[i].draining));
}
