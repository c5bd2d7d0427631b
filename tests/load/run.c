/* SPDX-License-Identifier: MIT */
#include "load/run.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "load/baton.h"

#define SECOND 1000000000u

enum {
    SAMPLE_NS = 100000000,
    POLL_NS = 20000000,
    BATON_NS = 1000000,
};

static const double FAILED_PATIENCE = 1; /* seconds */

/* SIGUSR1: enough traffic, go on to the drain. */
static volatile sig_atomic_t enough;

static void on_enough(int sig)
{
    (void)sig;
    enough = 1;
}

static bool broken(const struct run *run)
{
    return run->swarm.failed;
}

static void show_progress(struct run *run)
{
    const struct counters *counters = &run->check.counters;
    if (run->opt->quiet || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[K%s: %u/%u sessions, %" PRIu64 " published, %.0f deliveries/s",
            run->phase, run->swarm.live, run->swarm.count, counters->published,
            (double)(counters->deliveries - run->last_deliveries) * 1e9 / SAMPLE_NS);
    (void)fflush(stderr);
}

static void begin_phase(struct run *run, const char *phase)
{
    run->phase = phase;
    run->last_change = stats_now();
    if (run->opt->quiet)
        return;
    /* A line for each phase where nobody watches: scripts wait for them. */
    if (!isatty(STDERR_FILENO))
        fprintf(stderr, "phase %s: %u sessions\n", phase, run->swarm.live);
}

/* Ten times a second: memory, progress, and whether anything still moves. */
static void sample(struct run *run)
{
    const struct counters *counters = &run->check.counters;
    uint64_t now = stats_now();
    if (now < run->next_sample)
        return;
    run->next_sample = now + SAMPLE_NS;
    gauge_memory(&run->gauge);
    show_progress(run);
    run->last_deliveries = counters->deliveries;
    uint64_t mark = counters->deliveries + counters->replies + counters->joins + counters->frames +
                    run->swarm.live + run->swarm.gone + run->swarm.next;
    if (mark != run->progress_mark)
        run->last_change = now;
    run->progress_mark = mark;
}

/* Once something was wrong, a moment for what else there is to tell is enough. */
static double patience_of(const struct run *run)
{
    double patience = run->opt->patience;
    return run->check.verdict.total && patience > FAILED_PATIENCE ? FAILED_PATIENCE : patience;
}

static bool out_of_patience(struct run *run)
{
    double idle = (double)(stats_now() - run->last_change) / 1e9;
    double patience = patience_of(run);
    if (idle < patience)
        return false;
    verdict_add(&run->check.verdict, VERDICT_STUCK,
                "nothing moved for %.0f s while in phase '%s': %u of %u sessions are live, %" PRIu64
                " publications are under way",
                patience, run->phase, run->swarm.live, run->swarm.count, run->check.open);
    return true;
}

/* Serves sockets without publishing. */
static void serve(struct run *run, double seconds)
{
    uint64_t end = stats_now() + (uint64_t)(seconds * 1e9);
    for (uint64_t now = stats_now(); now < end && !broken(run); now = stats_now()) {
        uint64_t left = end - now;
        swarm_turn(&run->swarm, left < POLL_NS ? left : POLL_NS);
        sample(run);
    }
}

static void connect_all(struct run *run)
{
    struct swarm *swarm = &run->swarm;
    uint64_t cpu = gauge_cpu_ns(&run->gauge);
    uint64_t begin = stats_now();
    begin_phase(run, "connect");
    while (swarm->live + swarm->gone < swarm->count && !broken(run) && !out_of_patience(run)) {
        swarm_turn(swarm, POLL_NS);
        sample(run);
    }
    run->outcome.connect_seconds = (double)(stats_now() - begin) / 1e9;
    run->outcome.connect_cpu = gauge_cpu_ns(&run->gauge) - cpu;
    run->outcome.connected = swarm->live;
    if (swarm->live < swarm->count)
        swarm->failed = true;
}

static void settle(struct run *run)
{
    begin_phase(run, "settle");
    serve(run, run->opt->settle);
    run->outcome.memory_idle = gauge_memory(&run->gauge);
}

static void chat(struct run *run, const char *phase, double seconds)
{
    uint64_t end = stats_now() + (uint64_t)(seconds * 1e9);
    begin_phase(run, phase);
    while (stats_now() < end && !enough && run->traffic.left && !broken(run) &&
           !out_of_patience(run)) {
        uint64_t wait = traffic_turn(&run->traffic);
        swarm_turn(&run->swarm, wait);
        sample(run);
    }
}

static struct counters difference(const struct counters *now, const struct counters *then)
{
    struct counters out;
    uint64_t a[sizeof out / sizeof(uint64_t)], b[sizeof out / sizeof(uint64_t)];
    memcpy(a, now, sizeof a);
    memcpy(b, then, sizeof b);
    for (size_t i = 0; i < sizeof a / sizeof a[0]; i++)
        a[i] -= b[i];
    memcpy(&out, a, sizeof out);
    return out;
}

static double now_seconds(void)
{
    return (double)stats_now() / 1e9;
}

/* One slice: publishes, then lets everything arrive. Returns how long it took, in seconds. */
static double measure_slice(struct run *run)
{
    struct outcome *outcome = &run->outcome;
    const struct counters *counters = &run->check.counters;
    uint64_t deliveries = counters->deliveries;
    uint64_t cpu = gauge_cpu_ns(&run->gauge);
    double begin = now_seconds();
    double end = begin + (double)run->opt->slice / 1e3;
    run->last_change = stats_now();
    while ((now_seconds() < end || run->check.open) && !broken(run) && !out_of_patience(run)) {
        if (now_seconds() < end)
            traffic_turn(&run->traffic);
        swarm_turn(&run->swarm, POLL_NS);
        sample(run);
    }
    cpu = gauge_cpu_ns(&run->gauge) - cpu;
    deliveries = counters->deliveries - deliveries;
    outcome->cpu += cpu;
    if (deliveries && outcome->slices < RUN_SLICES)
        outcome->slice_ns[outcome->slices++] = (double)cpu / (double)deliveries;
    return now_seconds() - begin;
}

/* The other program works between our slices; sockets are served all the time. */
static void measure_slices(struct run *run)
{
    struct counters before = run->check.counters;
    bool over = false;
    begin_phase(run, "measure");
    run->check.measuring = true;
    while (run->outcome.seconds < run->opt->duration && !broken(run) && !over) {
        run->outcome.seconds += measure_slice(run);
        baton_pass();
        while (!baton_came(&over) && !over && !broken(run) && !out_of_patience(run)) {
            swarm_turn(&run->swarm, BATON_NS);
            sample(run);
        }
    }
    run->check.measuring = false;
    run->outcome.measured = difference(&run->check.counters, &before);
    baton_drop();
}

static void measure(struct run *run)
{
    struct counters before = run->check.counters;
    uint64_t cpu = gauge_cpu_ns(&run->gauge);
    uint64_t server_cpu = gauge_cpu_ns(&run->server);
    uint64_t begin = stats_now();
    run->check.measuring = true;
    chat(run, "measure", run->opt->duration);
    run->check.measuring = false;
    run->outcome.cpu = gauge_cpu_ns(&run->gauge) - cpu;
    run->outcome.server_cpu = gauge_cpu_ns(&run->server) - server_cpu;
    run->outcome.seconds = (double)(stats_now() - begin) / 1e9;
    run->outcome.measured = difference(&run->check.counters, &before);
}

/* Until everything has arrived everywhere, slow readers included. */
static void drain(struct run *run)
{
    swarm_resume_slow(&run->swarm);
    run->swarm.next_cut = 0;
    begin_phase(run, "drain");
    while (!broken(run) && (!check_settled(&run->check) || run->swarm.again_count) &&
           !out_of_patience(run)) {
        swarm_turn(&run->swarm, POLL_NS);
        sample(run);
    }
    run->outcome.memory_end = gauge_memory(&run->gauge);
    if (!broken(run))
        check_finish(&run->check);
}

/* Until the gateway has closed everybody; whoever is closed has a right to nothing more. */
static void wait_for_closes(struct run *run)
{
    begin_phase(run, "traffic");
    while (run->swarm.gone < run->swarm.count && !out_of_patience(run)) {
        uint64_t wait = run->opt->rate > 0 ? traffic_turn(&run->traffic) : POLL_NS;
        swarm_turn(&run->swarm, wait);
        sample(run);
    }
}

/* With one subscriber list that only grows, everybody sees the joins of those after it. */
static void check_joins(struct run *run)
{
    uint64_t expected = 0, joins = run->check.counters.joins;
    const struct counters *counters = &run->check.counters;
    if (!run->opt->join_leave || counters->reconnects || counters->cuts || broken(run))
        return;
    for (uint32_t i = 0; i < run->opt->rooms; i++) {
        uint64_t n = run->check.rooms[i].listeners;
        expected += n * (n + 1) / 2;
    }
    if (joins != expected)
        verdict_add(&run->check.verdict, joins < expected ? VERDICT_LOST : VERDICT_DUPLICATED,
                    "there were %" PRIu64 " join pushes instead of %" PRIu64, joins, expected);
}

static bool begin(struct run *run, const struct options *opt)
{
    memset(run, 0, sizeof *run);
    run->opt = opt;
    check_init(&run->check, opt);
    if (opt->slice && !baton_open())
        return false;
    if (!gauge_open(&run->gauge, (pid_t)opt->pid) ||
        !gauge_open(&run->server, (pid_t)opt->server_pid)) {
        fprintf(stderr, "there is no process %" PRIu64 " or %" PRIu64 "\n", opt->pid,
                opt->server_pid);
        return false;
    }
    return swarm_init(&run->swarm, opt, &run->check);
}

bool run_all(struct run *run, const struct options *opt)
{
    if (!begin(run, opt))
        return false;
    signal(SIGUSR1, on_enough);
    run->outcome.memory_before = gauge_memory(&run->gauge);
    connect_all(run);
    if (!broken(run))
        settle(run);
    traffic_begin(&run->traffic, &run->swarm, opt->messages);
    if (!broken(run))
        swarm_pause_slow(&run->swarm);
    if (opt->expect_close && !broken(run)) {
        wait_for_closes(run);
    } else if (!broken(run)) {
        run->swarm.next_cut = stats_now();
        if (opt->messages == 0)
            chat(run, "warm-up", opt->warmup);
        if (opt->slice)
            measure_slices(run);
        else
            measure(run);
        drain(run);
        check_joins(run);
    }
    run->outcome.memory_peak = run->gauge.peak;
    swarm_bye(&run->swarm);
    if (!opt->quiet && isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    return true;
}

void run_deinit(struct run *run)
{
    swarm_deinit(&run->swarm);
    check_deinit(&run->check);
}
