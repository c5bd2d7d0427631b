/* SPDX-License-Identifier: MIT */
#include "gateway/cron.h"

#include "backplane/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The clock may be put forward while it is slept. */
#define LOOK_MS      10000
#define RETRY_MS     500
#define RETRY_MAX_MS 8000
/* If the clock is put back, what was seen to is not seen to again; but nobody waits for more than
 * that until it is there again. */
#define CLOCK_BACK_MS CRON_KEY_MARGIN_MS
/* Slots too old are counted one by one up to here. */
#define LEFT_OUT_MAX 100000

/* An entry, and how far it has come. */
struct line {
    const struct cron_entry *entry; /* in the settings in force */
    uint64_t settled;               /* slots up to here have been seen to */
    uint64_t next;                  /* the next one */
    uint64_t not_before, wait_ms;   /* after a refusal, by the loop's clock */
    uint64_t left_out;              /* slots too old or too many; not told of yet */
    struct shot *shot;              /* what is under way, one at a time */
};

struct cron {
    struct cron_config config;
    struct queue_window window;
    struct settings *settings; /* NULL: none yet */
    struct line *lines;
    size_t count;
    struct timer timer;
    bool stopped;
    struct cron_counters counters;
};

/* Slots of one entry on their way to the queue. */
struct shot {
    struct queue_call call;
    struct cron *cron;
    struct settings *settings; /* a reference: what the jobs say lies in there */
    struct line *line;         /* NULL: the entry is gone, or another one by now */
    const struct cron_entry *entry;
    uint64_t upto; /* when all are there, the entry has come so far */
    struct queue_job jobs[CRON_CATCH_UP];
    char keys[CRON_CATCH_UP][QUEUE_KEY_MAX];
};

static uint64_t next_of(const struct line *l, uint64_t after)
{
    return schedule_next(&l->entry->when, after, l->entry->zone == ZONE_LOCAL);
}

static void see(struct cron *c);
static void see_line(struct cron *c, struct line *l, uint64_t now);

static void on_timer(struct timer *t)
{
    see(container_of(t, struct cron, timer));
}

/* Until an entry's next slot, or its next attempt. */
static void arm(struct cron *c, uint64_t now)
{
    uint64_t wait = LOOK_MS, mono = loop_now_ms(c->config.loop);
    for (size_t i = 0; i < c->count; i++) {
        const struct line *l = &c->lines[i];
        if (l->shot)
            continue; /* its end looks again */
        uint64_t due = l->next > now ? l->next - now : 0;
        uint64_t held = l->not_before > mono ? l->not_before - mono : 0;
        uint64_t soon = due > held ? due : held;
        wait = soon < wait ? soon : wait;
    }
    loop_cancel(c->config.loop, &c->timer);
    if (c->count && !c->stopped)
        loop_arm(c->config.loop, &c->timer, wait, on_timer);
}

/* ---- what became of a put ------------------------------------------------------------------- */

static void tell_skipped(struct cron *c, const struct cron_entry *e, uint64_t n, const char *why)
{
    if (!n)
        return;
    counter_add(&c->counters.skipped, n);
    log_warn("cron %s: %s%" PRIu64 " time%s skipped: %s", e->name,
             n >= LEFT_OUT_MAX ? "at least " : "", n, n == 1 ? "" : "s", why);
}

static void tell_left_out(struct cron *c, struct line *l)
{
    tell_skipped(c, l->entry, l->left_out,
                 "they are longer ago than catch_up, or too many at once");
    l->left_out = 0;
}

static const char *const REFUSALS[] = {
    [PUT_FULL] = "the queue is full",
    [PUT_TOO_BIG] = "its data is larger than max_data of the queue",
    [PUT_DRAINING] = "the queue is draining",
    [PUT_BAD] = "the queue does not take such a job",
};

/* Counts what became of each; NULL, or why some are to be tried again. */
static const char *gather(struct cron *c, const struct shot *s)
{
    const char *again = NULL, *hopeless = NULL;
    uint64_t lost = 0;
    for (size_t i = 0; i < s->call.put.count; i++) {
        enum put_status status = s->jobs[i].status;
        if (status == PUT_OK) {
            counter_add(&c->counters.fired, 1);
        } else if (status == PUT_REPEATED) {
            counter_add(&c->counters.repeated, 1);
        } else if (status == PUT_FULL || status == PUT_DRAINING) {
            again = REFUSALS[status];
        } else {
            hopeless = REFUSALS[status];
            lost++;
        }
    }
    tell_skipped(c, s->entry, lost, hopeless);
    return again;
}

/* Said once, until it works again. */
static void hold_back(struct cron *c, struct line *l, const char *why)
{
    counter_add(&c->counters.refused, 1);
    if (!l->wait_ms)
        log_warn("cron %s: not put into the queue %s: %s; tried again until catch_up is over",
                 l->entry->name, l->entry->queue, why);
    l->wait_ms = !l->wait_ms ? RETRY_MS : l->wait_ms < RETRY_MAX_MS ? l->wait_ms * 2 : l->wait_ms;
    l->not_before = loop_now_ms(c->config.loop) + l->wait_ms;
}

static void drop(struct shot *s)
{
    settings_unref(s->settings);
    free(s);
}

static void on_put(struct queue_call *call)
{
    struct shot *s = container_of(call, struct shot, call);
    struct cron *c = s->cron;
    struct line *l = s->line;
    const char *again = call->op.error ? err_text(call->op.error) : gather(c, s);
    if (l) {
        l->shot = NULL;
        if (again) {
            hold_back(c, l, again);
        } else {
            /* So others did what was before, too; unless it is there since an earlier try. */
            if (s->jobs[0].status == PUT_REPEATED && !l->wait_ms)
                l->left_out = 0;
            l->settled = s->upto;
            l->wait_ms = l->not_before = 0;
            tell_left_out(c, l);
        }
    }
    drop(s);
    if (l && !c->stopped) { /* the others have not changed */
        uint64_t now = c->config.clock();
        see_line(c, l, now);
        arm(c, now);
    }
}

/* ---- slots ---------------------------------------------------------------------------------- */

static void add_job(struct shot *s, uint64_t slot)
{
    const struct cron_entry *e = s->entry;
    size_t i = s->call.put.count++;
    int n = snprintf(s->keys[i], sizeof(s->keys[i]), "cron:%s:%" PRIu64, e->name, slot);
    s->jobs[i] = (struct queue_job){.kind = span_str(e->kind),
                                    .data = span_str(e->data),
                                    .key = {s->keys[i], (size_t)n},
                                    .key_ms = e->catch_up_ms + CRON_KEY_MARGIN_MS,
                                    .priority = (uint8_t)e->priority,
                                    .key_mode = KEY_WINDOW};
}

/* Slots from `slot` on, up to now. */
static size_t count_slots(const struct line *l, uint64_t slot, uint64_t now)
{
    size_t n = 0;
    for (; slot <= now; slot = next_of(l, slot))
        n++;
    return n;
}

/* All slots up to now, but for those that are too old or too many. */
static void collect(struct line *l, struct shot *s, uint64_t now)
{
    uint64_t oldest = now > l->entry->catch_up_ms ? now - l->entry->catch_up_ms : 0, old = 0;
    uint64_t slot = next_of(l, l->settled);
    for (; slot < oldest && old < LEFT_OUT_MAX; slot = next_of(l, slot))
        old++;
    if (slot < oldest)
        slot = next_of(l, oldest - 1);
    for (size_t n = count_slots(l, slot, now); n > CRON_CATCH_UP; n--, old++)
        slot = next_of(l, slot);
    if (old)
        l->settled = slot - 1;
    l->left_out += old;
    for (; slot <= now; slot = next_of(l, slot))
        add_job(s, slot);
}

static void fire(struct cron *c, struct line *l, uint64_t now)
{
    struct shot *s = calloc(1, sizeof(*s));
    if (!s) {
        hold_back(c, l, "out of memory");
        return;
    }
    s->cron = c;
    s->line = l;
    s->entry = l->entry;
    s->settings = settings_ref(c->settings);
    s->upto = now;
    collect(l, s, now);
    if (!s->call.put.count) { /* all of them were too old */
        l->settled = now;
        tell_left_out(c, l);
        drop(s);
        return;
    }
    struct span queue = span_str(l->entry->queue);
    s->call.op.verb = QUEUE_PUT;
    s->call.op.queue = (struct queue_ref){queue, options_queue_rules(c->settings->options, queue)};
    s->call.put.jobs = s->jobs;
    s->call.done = on_put;
    l->shot = s;
    queue_send(&c->window, &s->call);
}

static void see_line(struct cron *c, struct line *l, uint64_t now)
{
    if (l->shot)
        return;
    if (l->settled > now + CLOCK_BACK_MS)
        l->settled = now;
    l->next = next_of(l, l->settled);
    if (l->next <= now && loop_now_ms(c->config.loop) >= l->not_before) {
        fire(c, l, now);
        l->next = next_of(l, l->settled);
    }
}

static void see(struct cron *c)
{
    uint64_t now = c->config.clock();
    for (size_t i = 0; i < c->count && !c->stopped; i++)
        see_line(c, &c->lines[i], now);
    arm(c, now);
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool same_times(const struct cron_entry *a, const struct cron_entry *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->schedule, b->schedule) == 0 &&
           a->zone == b->zone;
}

static struct line *line_of(const struct cron *c, const struct cron_entry *e)
{
    for (size_t i = 0; i < c->count; i++)
        if (same_times(c->lines[i].entry, e))
            return &c->lines[i];
    return NULL;
}

/* Goes on where the same entry was before; a new one begins now. At the start of the gateway what
 * was missed lately is made up for. */
static struct line line_from(const struct cron *c, const struct cron_entry *e, uint64_t now)
{
    const struct line *before = line_of(c, e);
    struct line l = {.entry = e, .settled = now};
    if (before)
        l = *before;
    else if (!c->settings)
        l.settled = now > e->catch_up_ms ? now - e->catch_up_ms : 0;
    l.entry = e;
    return l;
}

void cron_use(struct cron *c, struct settings *settings)
{
    const struct options *o = settings->options;
    struct line *lines = o->cron_count ? calloc(o->cron_count, sizeof(*lines)) : NULL;
    if (o->cron_count && !lines) {
        log_error("no memory for the cron entries: those from before stay in force");
        return;
    }
    for (size_t i = 0; i < o->cron_count; i++)
        lines[i] = line_from(c, &o->cron[i], c->config.clock());
    for (size_t i = 0; i < c->count; i++)
        if (c->lines[i].shot)
            c->lines[i].shot->line = NULL;
    for (size_t i = 0; i < o->cron_count; i++)
        if (lines[i].shot)
            lines[i].shot->line = &lines[i];
    free(c->lines);
    c->lines = lines;
    c->count = o->cron_count;
    settings_unref(c->settings);
    c->settings = settings_ref(settings);
    counter_set(&c->counters.entries, c->count);
    see(c);
}

struct cron *cron_new(const struct cron_config *config)
{
    struct cron *c = calloc(1, sizeof(*c));
    if (!c) {
        log_error("no memory for cron entries");
        return NULL;
    }
    c->config = *config;
    if (!c->config.clock)
        c->config.clock = wall_ms;
    queue_window_open(&c->window, config->desk, config->loop);
    return c;
}

void cron_stop(struct cron *c)
{
    c->stopped = true;
    loop_cancel(c->config.loop, &c->timer);
}

void cron_free(struct cron *c)
{
    if (!c)
        return;
    cron_stop(c);
    queue_window_close(&c->window);
    settings_unref(c->settings);
    free(c->lines);
    free(c);
}

const struct cron_counters *cron_counters(const struct cron *c)
{
    static const struct cron_counters none;
    return c ? &c->counters : &none;
}
