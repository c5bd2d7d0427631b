/* SPDX-License-Identifier: MIT */
/*
 * madang-floor: what the cheapest possible gateway costs.
 *
 * One process sends a frame to each of N loopback sockets by bare send() calls; another one, the
 * load generator's own reader with all its checks, receives them. The sender waits until the
 * reader has everything, then sends the next frame: the same pace as a closed loop with one
 * publication in flight. Reported is the sender's CPU time per send(), the sends alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load/baton.h"
#include "load/check.h"
#include "load/memory.h"
#include "load/options.h"
#include "load/stats.h"
#include "load/swarm.h"

enum {
    SEND_BUFFER = 65536,
    FRAME_MAX = 65536 + 512,
    TURN_NS = 20000000,
    PATIENCE_S = 20,
    BACKLOG = 1024,
    SLICES = 1024,
};

struct floor {
    uint64_t sockets;
    uint64_t frame; /* bytes, header included */
    double seconds;
    uint64_t slice; /* ms; 0: not in a relay */
    int send_cpu;   /* -1: not pinned */
    int read_cpu;
    const char *json;
    struct options opt; /* as the load generator would have them */
    int rounds;         /* socket between the two: the reader asks for a round by one byte */
    int listener;
    uint16_t port;
};

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void pin(int cpu)
{
    cpu_set_t set;
    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        die("sched_setaffinity");
}

static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("setrlimit");
}

/* ---- the frame, the same on both sides ------------------------------------------------------ */

static const char frame_head[] = "{\"push\":{\"channel\":\"load-0\",\"pub\":{\"data\":";
static const char frame_tail[] = ",\"offset\":";

enum { OFFSET_WIDTH = 9 }; /* one billion rounds; all frames have the same size */

static size_t frame_overhead(uint64_t frame)
{
    return (frame - 4 < 126 ? 2 : 4) + sizeof frame_head - 1 + sizeof frame_tail - 1 +
           OFFSET_WIDTH + 3;
}

/* The frame of a flight, unmasked; returns its length. */
static size_t put_frame(const struct check *check, uint32_t flight, char *out)
{
    char body[FRAME_MAX];
    size_t n = sizeof frame_head - 1;
    memcpy(body, frame_head, n);
    check_data(check, flight, body + n);
    n += check->opt->size;
    n += (size_t)snprintf(body + n, sizeof body - n, "%s%u}}}", frame_tail,
                          100000000 + check->flights[flight].seq);
    size_t head = n < 126 ? 2 : 4;
    out[0] = (char)0x81;
    out[1] = (char)(n < 126 ? n : 126);
    if (n >= 126) {
        out[2] = (char)(n >> 8);
        out[3] = (char)n;
    }
    memcpy(out + head, body, n);
    return head + n;
}

/* ---- the sender ----------------------------------------------------------------------------- */

static uint64_t cpu_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int *accept_all(const struct floor *floor)
{
    int on = 1, bytes = SEND_BUFFER;
    int *fds = memory_zeroed(floor->sockets * sizeof fds[0]);
    for (uint64_t i = 0; i < floor->sockets; i++) {
        fds[i] = accept4(floor->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fds[i] < 0)
            die("accept");
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    return fds;
}

static uint64_t send_round(const struct floor *floor, const int *fds, const char *frame, size_t len)
{
    uint64_t begin = cpu_now();
    for (uint64_t i = 0; i < floor->sockets; i++) {
        if (send(fds[i], frame, len, MSG_NOSIGNAL) != (ssize_t)len)
            die("send");
    }
    return cpu_now() - begin;
}

struct sums {
    uint64_t cpu; /* ns */
    uint64_t sends;
};

struct result {
    struct sums all;
    struct sums slice; /* the one that is under way */
    uint64_t frame;
    unsigned slices;
    double slice_ns[SLICES];
};

static void end_slice(struct result *result)
{
    struct sums *slice = &result->slice;
    if (slice->sends == 0)
        return;
    result->all.cpu += slice->cpu;
    result->all.sends += slice->sends;
    if (result->slices < SLICES)
        result->slice_ns[result->slices++] = (double)slice->cpu / (double)slice->sends;
    *slice = (struct sums){0};
}

/* Sends a round for each 'w' (warm-up) or 'm' (measured) that the reader writes, ends a slice at
 * each 's', and is done when the reader closes its end. */
static void send_all(const struct floor *floor, struct result *result)
{
    struct check check;
    char frame[FRAME_MAX], kind;
    int *fds = accept_all(floor);
    check_init(&check, &floor->opt);
    while (read(floor->rounds, &kind, 1) == 1) {
        if (kind == 's') {
            end_slice(result);
            continue;
        }
        /* The reader's flights are the same: one at a time, from the same first one. */
        uint32_t flight = check_send(&check, &check.rooms[0], 0, 0);
        size_t len = put_frame(&check, flight, frame);
        uint64_t cpu = send_round(floor, fds, frame, len);
        check.flights[flight].delivered = true;
        check_replied(&check, flight);
        if (kind != 'm')
            continue;
        result->slice.cpu += cpu;
        result->slice.sends += floor->sockets;
        result->frame = len;
    }
    end_slice(result);
    check_deinit(&check);
    for (uint64_t i = 0; i < floor->sockets; i++)
        close(fds[i]);
    free(fds);
}

/* ---- the reader ----------------------------------------------------------------------------- */

static void connect_all(const struct floor *floor, struct swarm *swarm)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = floor->port};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (uint32_t i = 0; i < swarm->count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
            die("connect");
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) != 0)
            die("setsockopt");
        client_adopt(swarm, &swarm->clients[i], fd);
    }
}

/* One frame to everybody. False: it did not arrive. */
static bool one_round(const struct floor *floor, struct swarm *swarm, char kind)
{
    struct check *check = swarm->check;
    uint64_t begin = stats_now();
    uint32_t flight = check_send(check, &check->rooms[0], 0, begin);
    check_replied(check, flight);
    if (write(floor->rounds, &kind, 1) != 1)
        return false;
    while (check->open > 0) {
        swarm_turn(swarm, TURN_NS);
        if (check->verdict.total || stats_now() - begin > PATIENCE_S * 1000000000ull)
            return false;
    }
    return true;
}

static bool rounds_for(const struct floor *floor, struct swarm *swarm, double seconds)
{
    uint64_t end = stats_now() + (uint64_t)(seconds * 1e9);
    bool good = true;
    do {
        good = one_round(floor, swarm, 'm');
    } while (good && stats_now() < end);
    return good;
}

/* Works whenever the baton comes, until it does not come any more. */
static bool relay(const struct floor *floor, struct swarm *swarm)
{
    bool good = true;
    while (good && baton_wait()) {
        good = one_round(floor, swarm, 'w') &&
               rounds_for(floor, swarm, (double)floor->slice / 1e3) &&
               write(floor->rounds, "s", 1) == 1;
        baton_pass();
    }
    return good;
}

/* The reader's process; its exit status. */
static int read_all(const struct floor *floor)
{
    struct check check;
    struct swarm swarm;
    bool good = true;
    pin(floor->read_cpu);
    check_init(&check, &floor->opt);
    if (!swarm_init(&swarm, &floor->opt, &check))
        return 2;
    swarm.next = swarm.count;
    connect_all(floor, &swarm);
    for (int i = 0; i < 3 && good; i++)
        good = one_round(floor, &swarm, 'w');
    if (good && floor->slice)
        good = relay(floor, &swarm);
    else if (good)
        good = rounds_for(floor, &swarm, floor->seconds);
    if (check.verdict.total)
        fprintf(stderr, "%s\n", check.verdict.sentences[0]);
    close(floor->rounds);
    swarm_deinit(&swarm);
    check_deinit(&check);
    return good ? 0 : 1;
}

/* ---- both ----------------------------------------------------------------------------------- */

static void listen_anywhere(struct floor *floor)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    floor->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (floor->listener < 0 || bind(floor->listener, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(floor->listener, BACKLOG) != 0 ||
        getsockname(floor->listener, (struct sockaddr *)&at, &size) != 0)
        die("listen");
    floor->port = at.sin_port;
}

static void write_json(const struct floor *floor, const struct result *result, double ns)
{
    FILE *file = fopen(floor->json, "we");
    if (!file)
        die(floor->json);
    fprintf(file,
            "{\"sockets\": %" PRIu64 ", \"frame_bytes\": %" PRIu64 ", \"sends\": %" PRIu64
            ", \"ns_per_send\": %.1f, \"slices_ns_per_send\": [",
            floor->sockets, result->frame, result->all.sends, ns);
    for (unsigned i = 0; i < result->slices; i++)
        fprintf(file, "%s%.0f", i ? ", " : "", result->slice_ns[i]);
    fprintf(file, "]}\n");
    if (fclose(file) != 0)
        die(floor->json);
}

static int report(const struct floor *floor, const struct result *result)
{
    if (result->all.sends == 0) {
        fputs("nothing was measured\n", stderr);
        return 1;
    }
    double ns = (double)result->all.cpu / (double)result->all.sends;
    if (floor->json)
        write_json(floor, result, ns);
    else
        printf("  %" PRIu64 " sockets, %" PRIu64 " bytes a frame: %.0f ns CPU per send()\n",
               floor->sockets, result->frame, ns);
    return 0;
}

static int conduct(struct floor *floor)
{
    int pair[2], status = 1;
    raise_descriptors();
    if (floor->slice && !baton_open())
        return 2;
    listen_anywhere(floor);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        die("socketpair");
    pid_t reader = fork();
    if (reader < 0)
        die("fork");
    floor->rounds = pair[reader == 0];
    close(pair[reader != 0]);
    if (reader == 0)
        _exit(read_all(floor));
    pin(floor->send_cpu);
    if (floor->slice)
        baton_drop(); /* it is the reader's */
    static struct result result;
    send_all(floor, &result);
    if (waitpid(reader, &status, 0) != reader || status != 0) {
        fputs("the reader failed\n", stderr);
        return 1;
    }
    return report(floor, &result);
}

static bool parse(struct floor *floor, int argc, char **argv)
{
    *floor =
        (struct floor){.sockets = 1000, .frame = 220, .seconds = 2, .send_cpu = -1, .read_cpu = -1};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--sockets") == 0)
            floor->sockets = strtoull(value, NULL, 10);
        else if (strcmp(name, "--frame-bytes") == 0)
            floor->frame = strtoull(value, NULL, 10);
        else if (strcmp(name, "--seconds") == 0)
            floor->seconds = strtod(value, NULL);
        else if (strcmp(name, "--slice") == 0)
            floor->slice = strtoull(value, NULL, 10);
        else if (strcmp(name, "--send-cpu") == 0)
            floor->send_cpu = (int)strtol(value, NULL, 10);
        else if (strcmp(name, "--read-cpu") == 0)
            floor->read_cpu = (int)strtol(value, NULL, 10);
        else if (strcmp(name, "--json") == 0)
            floor->json = value;
        else
            return false;
    }
    return argc % 2 == 1 && floor->sockets > 0 && floor->seconds > 0 &&
           floor->frame >= 96 + frame_overhead(floor->frame) && floor->frame <= 60000;
}

int main(int argc, char **argv)
{
    struct floor floor;
    if (!parse(&floor, argc, argv)) {
        fputs("madang-floor [--sockets N] [--frame-bytes 170…60000] [--seconds S | --slice MS] "
              "[--send-cpu C] "
              "[--read-cpu C] [--json FILE]\n",
              stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    floor.opt = (struct options){
        .host = "127.0.0.1",
        .port = "1",
        .prefix = "load-",
        .sessions = floor.sockets,
        .rooms = 1,
        .rooms_per_session = 1,
        .split = 1,
        .size = floor.frame - frame_overhead(floor.frame),
    };
    return conduct(&floor);
}
