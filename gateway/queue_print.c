/* SPDX-License-Identifier: MIT */
#include "gateway/queue_print.h"

#include "backplane/base/count.h"
#include "backplane/base/loop.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static json_int_t number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

/* Control characters in names and errors would disturb a terminal. */
static void add_safe(struct buf *text, const char *s)
{
    for (; *s; s++)
        buf_char(text, (unsigned char)*s < 0x20 || *s == 0x7F ? ' ' : *s);
}

static void add_json(struct buf *text, const json_t *value, size_t flags)
{
    char *s = value ? json_dumps(value, flags | JSON_ENCODE_ANY) : NULL;
    if (s)
        buf_str(text, s);
    free(s);
}

bool queue_print_all(const json_t *r, const char *queue, struct buf *text, struct buf *report)
{
    (void)queue;
    (void)report;
    add_json(text, r, JSON_INDENT(2));
    buf_char(text, '\n');
    return true;
}

/* ---- numbers -------------------------------------------------------------------------------- */

static void add_age(struct buf *text, uint64_t since)
{
    uint64_t now = wall_ms(), s = since && since < now ? (now - since) / 1000 : 0;
    if (!since)
        buf_fmt(text, " %8s", "-");
    else if (s < 120)
        buf_fmt(text, " %7llus", (unsigned long long)s);
    else if (s < 7200)
        buf_fmt(text, " %7llum", (unsigned long long)s / 60);
    else
        buf_fmt(text, " %7lluh", (unsigned long long)s / 3600);
}

static void add_row(struct buf *text, const json_t *q)
{
    static const char *const numbers[] = {"ready", "leased", "delayed", "blocked",
                                          "dead",  "bytes",  "acked",   "failed"};
    size_t begin = text->n;
    add_safe(text, text_of(q, "queue"));
    while (!text->failed && text->n - begin < 20)
        buf_char(text, ' ');
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        buf_fmt(text, " %9" JSON_INTEGER_FORMAT, number_of(q, numbers[i]));
    add_age(text, (uint64_t)number_of(q, "oldest_ready_at"));
    bool paused = json_is_true(json_object_get(q, "paused"));
    bool draining = json_is_true(json_object_get(q, "draining"));
    buf_fmt(text, "%s%s\n", paused ? " paused" : "", draining ? " draining" : "");
}

bool queue_print_stats(const json_t *r, const char *queue, struct buf *text, struct buf *report)
{
    const json_t *all = json_object_get(r, "queues");
    (void)queue;
    (void)report;
    if (all && !json_array_size(all)) {
        buf_lit(text, "no queue has been used so far\n");
        return true;
    }
    buf_fmt(text, "%-20s %9s %9s %9s %9s %9s %9s %9s %9s %8s\n", "queue", "ready", "leased",
            "delayed", "blocked", "dead", "bytes", "acked", "failed", "oldest");
    if (!all)
        add_row(text, r);
    for (size_t i = 0; i < json_array_size(all); i++)
        add_row(text, json_array_get(all, i));
    return true;
}

/* ---- jobs ----------------------------------------------------------------------------------- */

/* What the status of a job means, in words for people. */
struct saying {
    const char *status, *words;
};

/* NULL: nothing is to be said. */
static const char *said_of(const struct saying *sayings, size_t n, const json_t *job)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text_of(job, "status"), sayings[i].status) == 0)
            return sayings[i].words;
    return NULL;
}

bool queue_print_put(const json_t *r, const char *queue, struct buf *text, struct buf *report)
{
    static const struct saying refusals[] = {
        {"full", "is full (max_jobs, max_bytes), or the disk is"},
        {"too_big", "takes no jobs with so much data (max_data)"},
        {"draining", "takes nothing new: it is draining"},
        {"bad", "cannot take such a job"},
    };
    const json_t *job = json_array_get(json_object_get(r, "jobs"), 0);
    const char *words = said_of(refusals, COUNT_OF(refusals), job), *why = text_of(job, "error");
    if (words) {
        buf_fmt(report, "the queue %s %s%s%s\n", queue, words, *why ? ": " : "", why);
        return false;
    }
    add_safe(text, text_of(job, "id"));
    buf_str(text, strcmp(text_of(job, "status"), "repeated") == 0
                      ? " (it was there already: it has the key)\n"
                      : "\n");
    return true;
}

bool queue_print_taken(const json_t *r, const char *queue, struct buf *text, struct buf *report)
{
    const json_t *jobs = json_object_get(r, "jobs");
    (void)queue;
    (void)report;
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        const json_t *job = json_array_get(jobs, i);
        add_safe(text, text_of(job, "id"));
        buf_fmt(text, "\t%s\t", text_of(job, "token"));
        add_safe(text, text_of(job, "kind"));
        buf_char(text, '\t');
        add_json(text, json_object_get(job, "data"), JSON_COMPACT);
        buf_char(text, '\n');
    }
    return true;
}

bool queue_print_settled(const json_t *r, const char *queue, struct buf *text, struct buf *report)
{
    static const struct saying losses[] = {
        {"lease_lost", "the lease is over, or it is not the newest"},
        {"gone", "there is no such job any more"},
    };
    const json_t *job = json_array_get(json_object_get(r, "jobs"), 0);
    const char *words = said_of(losses, COUNT_OF(losses), job);
    (void)queue;
    struct buf *to = words ? report : text;
    add_safe(to, text_of(job, "id"));
    buf_fmt(to, ": %s\n", words ? words : text_of(job, "status"));
    return !words;
}

static void add_time(struct buf *text, json_int_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm t;
    char at[32];
    if (gmtime_r(&s, &t) && strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &t))
        buf_str(text, at);
}

bool queue_print_dead(const json_t *r, const char *queue, struct buf *text, struct buf *report)
{
    const json_t *jobs = json_object_get(r, "jobs");
    (void)queue;
    (void)report;
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        const json_t *job = json_array_get(jobs, i);
        add_safe(text, text_of(job, "id"));
        buf_char(text, '\t');
        add_time(text, number_of(job, "died_at"));
        json_int_t failures = number_of(job, "failures");
        buf_fmt(text, "\t%s\t%" JSON_INTEGER_FORMAT " failure%s\t", text_of(job, "reason"),
                failures, failures == 1 ? "" : "s");
        add_safe(text, text_of(job, "kind"));
        buf_char(text, '\t');
        add_safe(text, text_of(job, "error"));
        buf_char(text, '\n');
    }
    return true;
}

bool queue_print_picked(const json_t *r, const char *queue, struct buf *text, struct buf *report)
{
    json_int_t n = number_of(r, "changed");
    (void)queue;
    (void)report;
    json_int_t left = number_of(r, "repeated");
    buf_fmt(text, "%" JSON_INTEGER_FORMAT " job%s", n, n == 1 ? "" : "s");
    if (left)
        buf_fmt(text, "; %" JSON_INTEGER_FORMAT " stay%s dead, since another job has %s key", left,
                left == 1 ? "s" : "", left == 1 ? "its" : "their");
    buf_char(text, '\n');
    return true;
}

bool queue_print_done(const json_t *r, const char *queue, struct buf *text, struct buf *report)
{
    (void)r;
    (void)report;
    buf_fmt(text, "%s: done\n", queue);
    return true;
}

/* ---- cron entries --------------------------------------------------------------------------- */

bool queue_print_cron(const json_t *r, const char *queue, struct buf *text, struct buf *report)
{
    const json_t *entries = json_object_get(r, "entries");
    (void)queue;
    (void)report;
    if (!json_array_size(entries))
        buf_lit(text, "there are no cron entries: see [cron NAME] in docs/QUEUE.md\n");
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *e = json_array_get(entries, i);
        add_time(text, number_of(e, "next_at"));
        buf_fmt(text, "\t%s\t%s\t", text_of(e, "name"), text_of(e, "time_zone"));
        add_safe(text, text_of(e, "schedule"));
        buf_char(text, '\t');
        add_safe(text, text_of(e, "queue"));
        buf_char(text, '\t');
        add_safe(text, text_of(e, "kind"));
        buf_char(text, '\n');
    }
    return true;
}
