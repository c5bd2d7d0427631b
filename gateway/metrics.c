/* SPDX-License-Identifier: MIT */
/* Counters of hubs come twice where a single hub matters: as a sum over all hubs, and per hub under
 * a name that begins with madang_hub_, so that summing a name over its labels never counts twice.
 */
#include "gateway/metrics.h"

#include "backplane/base/count.h"

#include "backplane/store/counters.h"
#include "gateway/acceptor.h"
#include "gateway/cron.h"
#include "gateway/hub.h"
#include "gateway/metrics_queues.h"
#include "gateway/notify.h"
#include "gateway/pulse.h"
#include "gateway/worker.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUB_PREFIX "madang_hub_"

/* A counter in a struct of counters. */
struct metric {
    size_t offset;
    const char *name, *type, *help;
};

static const struct metric hub_metrics[] = {
#define HUB_METRIC(field, name, type, help)                                                        \
    {offsetof(struct hub_counters, field), name, type, help},
    HUB_COUNTERS(HUB_METRIC)
#undef HUB_METRIC
};

#define PER_HUB(field, name, type, help)                                                           \
    {                                                                                              \
        offsetof(struct hub_counters, field), HUB_PREFIX name, type, help                          \
    }

static const struct metric per_hub_metrics[] = {
    PER_HUB(sessions, "sessions", "gauge", "Sessions of each hub"),
    PER_HUB(deliveries, "deliveries_total", "counter", "Frames sent or queued by each hub"),
    PER_HUB(queued_bytes, "queued_bytes", "gauge", "Bytes waiting for slow readers of each hub"),
    PER_HUB(requests, "requests_pending", "gauge", "Requests of each hub at the sequencer"),
    PER_HUB(turns, "loop_turns_total", "counter", "Turns of the event loop of each hub"),
};

#define OF_SEQUENCER(field, name, type, help)                                                      \
    {                                                                                              \
        offsetof(struct sequencer_counters, field), name, type, help                               \
    }

static const struct metric sequencer_metrics[] = {
    OF_SEQUENCER(rooms, "madang_rooms", "gauge", "Rooms remembered"),
    OF_SEQUENCER(occupied, "madang_occupied_rooms", "gauge", "Rooms with subscribers"),
    OF_SEQUENCER(sanctions, "madang_sanctions", "gauge", "Bans and mutes"),
    OF_SEQUENCER(slow_rooms, "madang_slow_rooms", "gauge", "Rooms in slow mode"),
    OF_SEQUENCER(stream_bytes, "madang_stream_bytes", "gauge", "Bytes of all streams"),
    OF_SEQUENCER(commits, "madang_publications_total", "counter",
                 "Publications that were made through this gateway"),
    OF_SEQUENCER(alone, "madang_limits_alone_total", "counter",
                 "Connections that were let in without knowing what their user has elsewhere"),
    OF_SEQUENCER(accounts, "madang_accounts", "gauge",
                 "Users and addresses of which it is remembered what they did lately"),
    OF_SEQUENCER(publications, "madang_publications_heard_total", "counter",
                 "Publications that came to this gateway's rooms, from any gateway"),
    OF_SEQUENCER(repeats, "madang_publication_repeats_total", "counter",
                 "Publications not made again, since their idempotency key had been seen"),
    OF_SEQUENCER(behind, "madang_behind_total", "counter",
                 "Times a hub fell behind and pushes for it were left out"),
    OF_SEQUENCER(fills, "madang_fills_total", "counter",
                 "Fills of a room of a hub that had been behind"),
    OF_SEQUENCER(recalls, "madang_recalls_total", "counter",
                 "Times all clients were told to connect again, since orders may be missing"),
    OF_SEQUENCER(gateways, "madang_gateways", "gauge",
                 "Gateways that are alive, this one included; 0: there can be no others"),
    OF_SEQUENCER(presence_refused, "madang_presence_refused_total", "counter",
                 "Members that were not entered for other gateways, for their memory is full"),
    OF_SEQUENCER(insufficient, "madang_insufficient_total", "counter",
                 "Times the subscribers of a room had to be told that publications are lost"),
};

#define OF_DRIVER(field, name, type, help)                                                         \
    {                                                                                              \
        offsetof(struct driver_counters, field), name, type, help                                  \
    }

static const struct metric driver_metrics[] = {
    OF_DRIVER(outages, "madang_backplane_outages_total", "counter",
              "Times a part of the backplane went away"),
    OF_DRIVER(repairs, "madang_backplane_repairs_total", "counter",
              "Times all rooms were compared with their streams"),
    OF_DRIVER(fills, "madang_backplane_fills_total", "counter",
              "Gaps in a room that were read from its stream"),
    OF_DRIVER(filled, "madang_backplane_filled_total", "counter", "Publications read so"),
    OF_DRIVER(lost, "madang_backplane_lost_total", "counter",
              "Times publications of a room could not be read any more"),
    OF_DRIVER(watched, "madang_backplane_watched_rooms", "gauge", "Rooms that are listened to"),
    OF_DRIVER(pending, "madang_backplane_pending", "gauge", "Operations under way"),
    OF_DRIVER(refused, "madang_backplane_refused_total", "counter",
              "Operations that failed at once, since a part was away or overloaded"),
    OF_DRIVER(timeouts, "madang_backplane_unknown_total", "counter",
              "Operations that were begun and never answered"),
};

#define OF_STORE(field, name, type, help)                                                          \
    {                                                                                              \
        offsetof(struct store_counters, field), name, type, help                                   \
    }

static const struct metric store_metrics[] = {
    OF_STORE(commits, "madang_store_commits_total", "counter", "Transactions made durable"),
    OF_STORE(tasks, "madang_store_tasks_total", "counter", "Pieces of work that were in them"),
    OF_STORE(commit_us, "madang_store_commit_microseconds_total", "counter",
             "Time spent in making them durable"),
    OF_STORE(slowest_commit_us, "madang_store_slowest_commit_microseconds", "gauge",
             "The longest of these times"),
    OF_STORE(waiting, "madang_store_waiting", "gauge", "Pieces of work that wait to be taken up"),
    OF_STORE(merges, "madang_store_merges_total", "counter",
             "Times what was written beside the file was moved into it"),
    OF_STORE(unmerged_bytes, "madang_store_unmerged_bytes", "gauge",
             "Bytes beside the file, in its -wal"),
    OF_STORE(failures, "madang_store_failures_total", "counter",
             "Times the file had to be opened anew"),
    OF_STORE(full, "madang_store_full", "gauge",
             "1 while the disk is full: publications are refused"),
    OF_STORE(broken, "madang_store_broken", "gauge", "1 while the file cannot be opened"),
    OF_STORE(damaged, "madang_store_damaged", "gauge",
             "1 once something was found that is not as it was written"),
    OF_STORE(generation, "madang_store_generation", "gauge",
             "How often rooms had to begin a new epoch, and once"),
};

#define OF_QUEUES(field, name, type, help)                                                         \
    {                                                                                              \
        offsetof(struct queue_desk_counters, field), name, type, help                              \
    }

#define OF_NOTIFY(field, name, help)                                                               \
    {                                                                                              \
        offsetof(struct notify_counters, field), name, "counter", help                             \
    }

static const struct metric notify_metrics[] = {
    OF_NOTIFY(told, "madang_notify_told_total", "Users who were away and told of, by room"),
    OF_NOTIFY(calls, "madang_notify_calls_total", "Calls that the target of notify took"),
    OF_NOTIFY(failed, "madang_notify_calls_failed_total",
              "Calls that the target of notify did not take"),
    OF_NOTIFY(connected, "madang_notify_connected_total",
              "Times a follower was not told of what is new, being connected"),
    OF_NOTIFY(banned, "madang_notify_banned_total",
              "Times a follower was not told of what is new, being banned"),
    OF_NOTIFY(nothing_new, "madang_notify_nothing_new_total",
              "Times a follower had read all, or had been told of it"),
};

#define OF_CRON(field, name, type, help)                                                           \
    {                                                                                              \
        offsetof(struct cron_counters, field), name, type, help                                    \
    }

static const struct metric cron_metrics[] = {
    OF_CRON(entries, "madang_cron_entries", "gauge", "Cron entries"),
    OF_CRON(fired, "madang_cron_fired_total", "counter",
            "Times of cron entries at which this gateway put the job"),
    OF_CRON(repeated, "madang_cron_repeated_total", "counter",
            "Times of cron entries at which the job had been put already"),
    OF_CRON(skipped, "madang_cron_skipped_total", "counter",
            "Times of cron entries that passed without a job"),
    OF_CRON(refused, "madang_cron_refused_total", "counter",
            "Jobs of cron entries that could not be put, and were tried again"),
};

static const struct metric queue_metrics[] = {
    OF_QUEUES(calls, "madang_queue_calls_total", "counter",
              "Operations on queues that were asked for through this gateway"),
    OF_QUEUES(waiting, "madang_queue_takes_waiting", "gauge", "Takes that wait for jobs"),
    OF_QUEUES(woken, "madang_queue_takes_woken_total", "counter",
              "Times a take that waited was woken"),
};

#define OF_ACCEPTOR(field, name, help)                                                             \
    {                                                                                              \
        offsetof(struct acceptor_counters, field), name, "counter", help                           \
    }

static const struct metric acceptor_metrics[] = {
    OF_ACCEPTOR(accepted, "madang_connections_accepted_total", "Connections accepted"),
    OF_ACCEPTOR(refused, "madang_connections_refused_total",
                "Connections closed at once, for want of a descriptor or memory"),
    OF_ACCEPTOR(crowded, "madang_connections_crowded_total",
                "Connections closed at once, for their address has as many as allowed"),
    OF_ACCEPTOR(bad_headers, "madang_proxy_headers_bad_total",
                "Connections closed, for they sent no good PROXY header in time, or may not"),
    OF_ACCEPTOR(pauses, "madang_accept_pauses_total", "Times accepting was paused"),
};

/* ---- lines ---- */

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_lit(b, "# HELP ");
    buf_str(b, name);
    buf_char(b, ' ');
    buf_str(b, help);
    buf_lit(b, "\n# TYPE ");
    buf_str(b, name);
    buf_char(b, ' ');
    buf_str(b, type);
    buf_char(b, '\n');
}

static void line(struct buf *b, const char *name, uint64_t value)
{
    buf_str(b, name);
    buf_char(b, ' ');
    buf_u64(b, value);
    buf_char(b, '\n');
}

static void single(struct buf *b, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    head(b, name, type, help);
    line(b, name, value);
}

/* In seconds, from a finer unit, of which there are `per_second`, a power of ten. */
static void seconds(struct buf *b, uint64_t value, unsigned per_second)
{
    buf_u64(b, value / per_second);
    buf_char(b, '.');
    for (uint64_t rest = value % per_second; per_second > 1; rest %= per_second) {
        per_second /= 10;
        buf_char(b, (char)('0' + rest / per_second));
    }
    buf_char(b, '\n');
}

static uint64_t read_counter(const void *counters, const struct metric *m)
{
    return counter_get((const counter *)((const char *)counters + m->offset));
}

static void table(struct buf *b, const void *counters, const struct metric *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        single(b, list[i].name, list[i].type, list[i].help, read_counter(counters, &list[i]));
}

/* ---- hubs ---- */

static uint64_t sum(const struct gateway *g, const struct metric *m)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < g->hub_count; i++)
        total += read_counter(hub_counters(g->hubs[i]), m);
    return total;
}

static void each(struct buf *b, const struct gateway *g, const struct metric *m)
{
    head(b, m->name, m->type, m->help);
    for (uint32_t i = 0; i < g->hub_count; i++)
        buf_fmt(b, "%s{hub=\"%u\"} %llu\n", m->name, (unsigned)i,
                (unsigned long long)read_counter(hub_counters(g->hubs[i]), m));
}

static void hubs(struct buf *b, const struct gateway *g)
{
    for (size_t i = 0; i < COUNT_OF(hub_metrics); i++) {
        const struct metric *m = &hub_metrics[i];
        if (strncmp(m->name, HUB_PREFIX, strlen(HUB_PREFIX)) == 0)
            each(b, g, m);
        else
            single(b, m->name, m->type, m->help, sum(g, m));
    }
    for (size_t i = 0; i < COUNT_OF(per_hub_metrics); i++)
        each(b, g, &per_hub_metrics[i]);
}

static void closes(struct buf *b, const struct gateway *g)
{
    static const char name[] = "madang_closes_total";

    head(b, name, "counter", "Sessions closed, by code and reason");
    for (int r = 0; r < CLOSE_REASONS; r++) {
        const struct close_info *info = close_info(r);
        uint64_t total = 0;
        for (uint32_t i = 0; i < g->hub_count; i++)
            total += counter_get(&hub_counters(g->hubs[i])->closes[r]);
        buf_fmt(b, "%s{code=\"%u\",reason=\"%s\"} %llu\n", name, info->code, info->text,
                (unsigned long long)total);
    }
}

static void refused(struct buf *b, const struct gateway *g)
{
    static const char name[] = "madang_refused_total";

    head(b, name, "counter", "What was refused because it was too much per time");
    for (int scope = 0; scope < SCOPES; scope++) {
        for (int rate = 0; rate < RATES; rate++) {
            uint64_t total = 0;
            for (uint32_t i = 0; i < g->hub_count; i++)
                total += counter_get(&hub_counters(g->hubs[i])->refused[scope][rate]);
            buf_fmt(b, "%s{by=\"%s\",rate=\"%s\"} %llu\n", name, scope_word(scope), rate_word(rate),
                    (unsigned long long)total);
        }
    }
}

/* ---- the backplane ---- */

static void backplane(struct buf *b, const struct driver *d)
{
    static const char up[] = "madang_backplane_up";
    static const struct store_counters no_store;

    uint64_t away = counter_get(&d->counters.away);
    head(b, up, "gauge", "1 while that part of the backplane works");
    if (!d->part_count)
        buf_fmt(b, "%s{part=\"%s\"} 1\n", up, d->ops->name);
    for (uint32_t i = 0; i < d->part_count; i++)
        buf_fmt(b, "%s{part=\"%s\"} %d\n", up, d->parts[i], !(away >> i & 1));
    table(b, &d->counters, driver_metrics, COUNT_OF(driver_metrics));
    table(b, d->store ? d->store : &no_store, store_metrics, COUNT_OF(store_metrics));
}

/* ---- the gateway ---- */

/* Where there is no worker, its handlers have done nothing. */
static const struct bench_counters *of_handler(const struct worker *w, size_t i, const char **name)
{
    static const struct bench_counters nothing;
    static const char *const names[] = {"webhook", "publish", "notify"};

    if (w)
        return worker_counters(w, i, name);
    if (i == COUNT_OF(names))
        return NULL;
    *name = names[i];
    return &nothing;
}

/* What the worker has done with jobs, by handler and end. */
static void work_ends(struct buf *b, const struct worker *w)
{
    static const struct {
        const char *end;
        size_t offset;
    } ends[] = {{"done", offsetof(struct bench_counters, done)},
                {"failed", offsetof(struct bench_counters, failed)},
                {"rejected", offsetof(struct bench_counters, rejected)},
                {"released", offsetof(struct bench_counters, released)},
                {"lost", offsetof(struct bench_counters, lost)}};
    const struct bench_counters *c;
    const char *name;

    head(b, "madang_worker_jobs_total", "counter", "Jobs of the worker within, by their end");
    for (size_t i = 0; (c = of_handler(w, i, &name)); i++)
        for (size_t j = 0; j < COUNT_OF(ends); j++) {
            buf_fmt(b, "madang_worker_jobs_total{handler=\"%s\",end=\"%s\"} ", name, ends[j].end);
            buf_u64(b,
                    counter_get((const counter *)(const void *)((const char *)c + ends[j].offset)));
            buf_char(b, '\n');
        }
}

static void work(struct buf *b, const struct worker *w)
{
    const struct bench_counters *c;
    const char *name;

    work_ends(b, w);
    head(b, "madang_worker_jobs_held", "gauge", "Jobs that the worker within holds, by handler");
    for (size_t i = 0; (c = of_handler(w, i, &name)); i++) {
        buf_fmt(b, "madang_worker_jobs_held{handler=\"%s\"} ", name);
        buf_u64(b, counter_get(&c->running));
        buf_char(b, '\n');
    }
}

static void gateway(struct buf *b, const struct gateway *g)
{
    static const char info[] = "madang_build_info", age[] = "madang_heartbeat_age_seconds";
    struct pulse list[PULSES_MAX];
    size_t n = pulses(g, list);
    int phase = atomic_load_explicit(&g->phase, memory_order_relaxed);

    head(b, info, "gauge", "Always 1; the label tells the version");
    buf_str(b, "madang_build_info{version=\"" MADANG_VERSION "\"} 1\n");
    single(b, "madang_ready", "gauge", "1 while new sessions are welcome", phase == PHASE_READY);
    single(b, "madang_max_connections", "gauge", "The option max_connections",
           counter_get(&g->max_connections));
    head(b, age, "gauge", "Time since the last turn of each thread");
    for (size_t i = 0; i < n; i++) {
        buf_fmt(b, "%s{thread=\"%s\"} ", age, list[i].thread);
        seconds(b, list[i].age_ms, 1000);
    }
}

/* ---- the process ---- */

/* Resident pages, from /proc/self/statm; false if it cannot be read. */
static bool resident_pages(uint64_t *out)
{
    unsigned long long all, resident;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f)
        return false;
    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes it, and numbers that fit */
    bool ok = fscanf(f, "%llu %llu", &all, &resident) == 2;
    if (fclose(f) != 0)
        ok = false;
    *out = ok ? resident : 0;
    return ok;
}

/* Open descriptors. Newer kernels tell the number as the size of the folder; else they are
 * counted. */
static bool open_descriptors(uint64_t *out)
{
    struct stat st;

    if (stat("/proc/self/fd", &st) < 0)
        return false;
    *out = (uint64_t)st.st_size;
    if (st.st_size > 0)
        return true;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return false;
    errno = 0;
    while (readdir(d)) /* NOLINT(concurrency-mt-unsafe): nobody else has this folder */
        ++*out;
    bool ok = errno == 0;
    closedir(d);
    *out -= *out < 3 ? *out : 3; /* ".", "..", and the folder itself */
    return ok;
}

static void process(struct buf *b, const struct gateway *g)
{
    struct rusage used;
    struct rlimit limit;
    uint64_t n;

    if (getrusage(RUSAGE_SELF, &used) == 0) {
        head(b, "process_cpu_seconds_total", "counter", "User and system CPU time");
        buf_str(b, "process_cpu_seconds_total ");
        seconds(b,
                (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
                    (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec),
                1000000);
    }
    if (resident_pages(&n))
        single(b, "process_resident_memory_bytes", "gauge", "Resident memory",
               n * (uint64_t)sysconf(_SC_PAGESIZE));
    if (open_descriptors(&n))
        single(b, "process_open_fds", "gauge", "Open file descriptors", n);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        single(b, "process_max_fds", "gauge", "Limit of open file descriptors", limit.rlim_cur);
    head(b, "process_start_time_seconds", "gauge", "Start of the process, since 1970");
    buf_str(b, "process_start_time_seconds ");
    seconds(b, g->started_ms, 1000);
}

void metrics_write(const struct gateway *g, struct buf *out)
{
    static const struct notify_counters no_notify;

    gateway(out, g);
    table(out, acceptor_counters(g->acceptor), acceptor_metrics, COUNT_OF(acceptor_metrics));
    hubs(out, g);
    closes(out, g);
    refused(out, g);
    table(out, sequencer_counters(g->sequencer), sequencer_metrics, COUNT_OF(sequencer_metrics));
    backplane(out, sequencer_driver(g->sequencer));
    table(out, queue_desk_counters(sequencer_queues(g->sequencer)), queue_metrics,
          COUNT_OF(queue_metrics));
    metrics_queues(out, queue_desk_gauges(sequencer_queues(g->sequencer)));
    table(out, cron_counters(g->cron), cron_metrics, COUNT_OF(cron_metrics));
    work(out, g->worker);
    table(out, g->notify ? g->notify : &no_notify, notify_metrics, COUNT_OF(notify_metrics));
    process(out, g);
}
