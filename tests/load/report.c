/* SPDX-License-Identifier: MIT */
#include "load/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* One figure of the report: the same list makes the table and the JSON. */
struct figure {
    const char *label; /* NULL: JSON only */
    const char *name;
    double value; /* NAN: not measured */
    int digits;
};

enum { MOST_FIGURES = 48 };

struct figures {
    unsigned count;
    struct figure rows[MOST_FIGURES];
};

static void add(struct figures *figures, struct figure figure)
{
    if (figures->count < MOST_FIGURES)
        figures->rows[figures->count++] = figure;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static double known(const struct run *run, double value)
{
    return run->gauge.pid ? value : NAN;
}

static void add_connecting(struct figures *f, const struct run *run)
{
    const struct outcome *o = &run->outcome;
    double connected = (double)o->connected;
    double grown = (double)o->memory_idle - (double)o->memory_before;
    add(f, (struct figure){"sessions", "sessions", connected, 0});
    add(f, (struct figure){"connects per second", "connects_per_s",
                           ratio(connected, o->connect_seconds), 0});
    add(f, (struct figure){NULL, "connect_s", o->connect_seconds, 3});
    add(f, (struct figure){"gateway CPU per connect, us", "connect_cpu_us",
                           known(run, ratio((double)o->connect_cpu / 1e3, connected)), 1});
    add(f, (struct figure){"memory per idle connection, bytes", "memory_per_connection_bytes",
                           known(run, ratio(grown, connected)), 0});
    add(f, (struct figure){NULL, "memory_before_bytes", known(run, (double)o->memory_before), 0});
    add(f, (struct figure){NULL, "memory_idle_bytes", known(run, (double)o->memory_idle), 0});
    add(f, (struct figure){"peak memory, MiB", "memory_peak_mib",
                           known(run, (double)o->memory_peak / 1048576), 1});
    add(f, (struct figure){NULL, "memory_end_mib", known(run, (double)o->memory_end / 1048576), 1});
}

static void add_traffic(struct figures *f, const struct run *run)
{
    const struct outcome *o = &run->outcome;
    const struct counters *m = &o->measured;
    double deliveries = (double)m->deliveries;
    add(f, (struct figure){"measured, s", "measured_s", o->seconds, 3});
    add(f, (struct figure){"publications", "publications", (double)m->published, 0});
    add(f, (struct figure){"deliveries", "deliveries", deliveries, 0});
    add(f, (struct figure){"deliveries per second", "deliveries_per_s",
                           ratio(deliveries, o->seconds), 0});
    add(f, (struct figure){"publications per second", "publications_per_s",
                           ratio((double)m->published, o->seconds), 0});
    add(f, (struct figure){"gateway CPU per delivery, ns", "cpu_ns_per_delivery",
                           known(run, ratio((double)o->cpu, deliveries)), 0});
    add(f, (struct figure){"gateway CPU per publication, us", "cpu_us_per_publication",
                           known(run, ratio((double)o->cpu / 1e3, (double)m->published)), 2});
    double server = run->server.pid ? (double)o->server_cpu / 1e3 : NAN;
    add(f, (struct figure){"server CPU per publication, us", "server_cpu_us_per_publication",
                           ratio(server, (double)m->published), 2});
    add(f, (struct figure){"gateway CPU, share of a core", "cpu_share",
                           known(run, ratio((double)o->cpu / 1e9, o->seconds)), 3});
    add(f, (struct figure){NULL, "deliveries_per_frame", ratio(deliveries, (double)m->frames), 2});
    add(f, (struct figure){NULL, "bytes_per_frame", ratio((double)m->bytes, (double)m->frames), 1});
    add(f, (struct figure){NULL, "bytes_per_delivery", ratio((double)m->bytes, deliveries), 1});
}

static void add_latency(struct figures *f, const struct run *run)
{
    static const struct {
        const char *label, *name;
        double percent;
    } rows[] = {
        {"latency p50, us", "latency_p50_us", 50},
        {"latency p90, us", "latency_p90_us", 90},
        {"latency p99, us", "latency_p99_us", 99},
        {"latency p99.9, us", "latency_p999_us", 99.9},
    };
    const struct hist *hist = &run->check.latency;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double us = (double)hist_percentile(hist, rows[i].percent) / 1e3;
        add(f, (struct figure){rows[i].label, rows[i].name, hist->count ? us : NAN, 1});
    }
    add(f, (struct figure){"latency max, us", "latency_max_us",
                           hist->count ? (double)hist->max / 1e3 : NAN, 1});
}

static void add_events(struct figures *f, const struct run *run)
{
    const struct counters *c = &run->check.counters;
    add(f, (struct figure){NULL, "all_publications", (double)c->published, 0});
    add(f, (struct figure){NULL, "all_deliveries", (double)c->deliveries, 0});
    add(f, (struct figure){NULL, "replies", (double)c->replies, 0});
    add(f, (struct figure){NULL, "joins", (double)c->joins, 0});
    add(f, (struct figure){NULL, "leaves", (double)c->leaves, 0});
    add(f, (struct figure){NULL, "pings", (double)c->pings, 0});
    add(f, (struct figure){NULL, "cuts", (double)c->cuts, 0});
    add(f, (struct figure){NULL, "reconnects", (double)c->reconnects, 0});
    add(f, (struct figure){NULL, "recovered", (double)c->recovered, 0});
    add(f, (struct figure){NULL, "told", (double)c->told, 0});
    add(f, (struct figure){NULL, "failed_for_now", (double)c->failed_for_now, 0});
    add(f, (struct figure){NULL, "sent_again", (double)c->sent_again, 0});
    add(f, (struct figure){NULL, "failures", (double)run->check.verdict.total, 0});
}

static void collect(struct figures *figures, const struct run *run)
{
    figures->count = 0;
    add_connecting(figures, run);
    add_traffic(figures, run);
    add_latency(figures, run);
    add_events(figures, run);
}

void report_table(const struct run *run)
{
    struct figures figures;
    collect(&figures, run);
    for (unsigned i = 0; i < figures.count; i++) {
        const struct figure *row = &figures.rows[i];
        if (row->label && !isnan(row->value))
            printf("  %-36s %14.*f\n", row->label, row->digits, row->value);
    }
    for (unsigned i = 0; i < SWARM_CODES && run->swarm.closes[i].count; i++)
        printf("  closed with code %-19u %14" PRIu64 "\n", run->swarm.closes[i].code,
               run->swarm.closes[i].count);
    if (run->check.counters.told)
        printf("  %-36s %14" PRIu64 "\n", "subscriptions told of a gap", run->check.counters.told);
    printf("  %-36s %14s\n", "every delivery checked", run->check.verdict.total ? "FAILED" : "ok");
}

void report_failures(const struct run *run)
{
    const struct verdict *verdict = &run->check.verdict;
    for (unsigned i = 0; i < verdict->kept; i++)
        fprintf(stderr, "%s\n", verdict->sentences[i]);
    if (verdict->total > verdict->kept)
        fprintf(stderr, "and %" PRIu64 " more\n", verdict->total - verdict->kept);
    for (unsigned i = 0; i < VERDICT_KIND_COUNT; i++) {
        if (verdict->counts[i])
            fprintf(stderr, "  %s: %" PRIu64 "\n", verdict_kind_name((enum verdict_kind)i),
                    verdict->counts[i]);
    }
}

bool report_json(const struct run *run, const char *path)
{
    struct figures figures;
    collect(&figures, run);
    FILE *file = fopen(path, "we");
    if (!file) {
        perror(path);
        return false;
    }
    fprintf(file, "{\n");
    for (unsigned i = 0; i < figures.count; i++) {
        const struct figure *row = &figures.rows[i];
        if (isnan(row->value))
            fprintf(file, "  \"%s\": null,\n", row->name);
        else
            fprintf(file, "  \"%s\": %.*f,\n", row->name, row->digits, row->value);
    }
    fprintf(file, "  \"closes\": {");
    for (unsigned i = 0; i < SWARM_CODES && run->swarm.closes[i].count; i++)
        fprintf(file, "%s\"%u\": %" PRIu64, i ? ", " : "", run->swarm.closes[i].code,
                run->swarm.closes[i].count);
    fprintf(file, "},\n  \"slices_ns_per_delivery\": [");
    for (unsigned i = 0; i < run->outcome.slices; i++)
        fprintf(file, "%s%.0f", i ? ", " : "", run->outcome.slice_ns[i]);
    fprintf(file, "]\n}\n");
    bool written = !ferror(file);
    if (fclose(file) != 0 || !written) {
        perror(path);
        return false;
    }
    return true;
}
