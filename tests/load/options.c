/* SPDX-License-Identifier: MIT */
#include "load/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, COUNT, REAL, TEXT };

struct option_row {
    const char *name;
    enum kind kind;
    size_t at;
    uint64_t min;
    uint64_t max;
    const char *help;
};

#define AT(field) offsetof(struct options, field)
#define MANY      10000000

static const struct option_row rows[] = {
    {"host", TEXT, AT(host), 0, 0, "address of the gateway, an IPv4 literal (127.0.0.1)"},
    {"port", TEXT, AT(port), 0, 0,
     "port of the gateway (8000); of several, with commas: sessions take turns"},
    {"publish-port", TEXT, AT(publish_port), 0, 0, "ports for --publishers, if they are others"},
    {"path", TEXT, AT(path), 0, 0, "path of the WebSocket (/connection/websocket)"},
    {"connect", TEXT, AT(connect), 0, 0, "JSON body of the connect command ({})"},
    {"prefix", TEXT, AT(prefix), 0, 0, "room names are this and a number (load-)"},
    {"sessions", COUNT, AT(sessions), 1, MANY, "sessions that listen (100)"},
    {"rooms", COUNT, AT(rooms), 1, MANY, "rooms (1)"},
    {"rooms-per-session", COUNT, AT(rooms_per_session), 1, 128, "rooms each session is in (1)"},
    {"publishers", COUNT, AT(publishers), 0, MANY,
     "further sessions that only publish (0: the listeners publish)"},
    {"split", COUNT, AT(split), 1, 64,
     "only each n-th session listens, the others only publish (1: all listen)"},
    {"burst", COUNT, AT(burst), 1, MANY, "connects under way at a time (128)"},
    {"connect-rate", COUNT, AT(connect_rate), 0, MANY, "connects per second (0: no limit)"},
    {"join-leave", FLAG, AT(join_leave), 0, 0, "ask for join and leave pushes"},
    {"recover", FLAG, AT(recover), 0, 0, "reconnect and recover when a connection ends"},
    {"roam", FLAG, AT(roam), 0, 0, "come back to the next port; wants --recover"},
    {"in-flight", COUNT, AT(in_flight), 0, 1000000,
     "closed loop: publications under way at a time (1; 0: silence)"},
    {"rate", REAL, AT(rate), 0, MANY, "open loop: publications per second, all rooms together"},
    {"await-reply", FLAG, AT(await_reply), 0, 0,
     "closed loop: go on at the publisher's reply, not when everybody has it"},
    {"size", COUNT, AT(size), 96, 60000, "bytes of data in a publication (112)"},
    {"cid", FLAG, AT(cid), 0, 0, "give every publication an idempotency key"},
    {"insist", FLAG, AT(insist), 0, 0,
     "send again what failed for now or got no answer; wants --cid and --recover"},
    {"messages", COUNT, AT(messages), 0, UINT64_MAX, "stop after so many publications (0: time)"},
    {"slow", COUNT, AT(slow), 0, MANY, "sessions that stop reading once traffic begins (0)"},
    {"slow-rate", COUNT, AT(slow_rate), 0, MANY, "bytes per second that each of them reads (0)"},
    {"slow-buffer", COUNT, AT(slow_buffer), 1024, MANY, "their receive buffer in bytes (16384)"},
    {"cut", REAL, AT(cut), 0, 100000, "connections to cut per second; wants --recover"},
    {"allow-told", FLAG, AT(allow_told), 0, 0, "being told of a gap is not a failure"},
    {"expect-close", COUNT, AT(expect_close), 1000, 4999,
     "run until the gateway has closed every session with this code"},
    {"warmup", REAL, AT(warmup), 0, 86400, "seconds of traffic before measuring (0.5)"},
    {"duration", REAL, AT(duration), 0, 86400, "seconds to measure (3); SIGUSR1 ends it early"},
    {"settle", REAL, AT(settle), 0, 86400, "seconds of silence before memory is read (0.3)"},
    {"slice", COUNT, AT(slice), 0, 60000,
     "measure so many ms at a time and take turns with another program (0: do not)"},
    {"patience", REAL, AT(patience), 1, 86400, "seconds without progress that mean failure (20)"},
    {"pid", COUNT, AT(pid), 1, MANY, "the gateway's process: CPU and memory are reported"},
    {"server-pid", COUNT, AT(server_pid), 1, MANY,
     "a process behind the gateway: its CPU per publication is reported"},
    {"json", TEXT, AT(json), 0, 0, "write the report to this file as JSON"},
    {"quiet", FLAG, AT(quiet), 0, 0, "no progress, no table unless something fails"},
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static const struct options defaults = {
    .host = "127.0.0.1",
    .port = "8000",
    .path = "/connection/websocket",
    .connect = "{}",
    .prefix = "load-",
    .sessions = 100,
    .rooms = 1,
    .rooms_per_session = 1,
    .split = 1,
    .burst = 128,
    .in_flight = 1,
    .size = 112,
    .slow_buffer = 16384,
    .warmup = 0.5,
    .duration = 3,
    .settle = 0.3,
    .patience = 20,
};

static const char *const shapes[] = {
    [FLAG] = "", [COUNT] = " NUMBER", [REAL] = " NUMBER", [TEXT] = " TEXT"};

static void print_help(void)
{
    printf("madang-load: sessions that chat with a gateway and check every delivery\n\n");
    for (unsigned i = 0; i < ROW_COUNT; i++)
        printf("  --%s%s\n        %s\n", rows[i].name, shapes[rows[i].kind], rows[i].help);
}

static bool store_count(const struct option_row *row, const char *text, void *field)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value < row->min || value > row->max) {
        fprintf(stderr, "--%s wants a number from %llu to %llu, not '%s'\n", row->name,
                (unsigned long long)row->min, (unsigned long long)row->max, text);
        return false;
    }
    *(uint64_t *)field = value;
    return true;
}

static bool store_real(const struct option_row *row, const char *text, void *field)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= (double)row->min && value <= (double)row->max)) {
        fprintf(stderr, "--%s wants a number from %llu to %llu, not '%s'\n", row->name,
                (unsigned long long)row->min, (unsigned long long)row->max, text);
        return false;
    }
    *(double *)field = value;
    return true;
}

static bool store(struct options *options, const struct option_row *row, const char *text)
{
    void *field = (char *)options + row->at;
    switch (row->kind) {
    case FLAG: *(bool *)field = true; return true;
    case COUNT: return store_count(row, text, field);
    case REAL: return store_real(row, text, field);
    case TEXT: *(const char **)field = text; return true;
    }
    return false;
}

static const struct option_row *find_row(const char *arg)
{
    for (unsigned i = 0; i < ROW_COUNT; i++) {
        if (strncmp(arg, "--", 2) == 0 && strcmp(arg + 2, rows[i].name) == 0)
            return &rows[i];
    }
    return NULL;
}

static bool refuse(const char *why)
{
    fprintf(stderr, "%s\n", why);
    return false;
}

/* What one row of the table cannot know. */
static bool agree(const struct options *o)
{
    if (o->cut > 0 && !o->recover)
        return refuse("--cut wants --recover");
    if (o->roam && !o->recover)
        return refuse("--roam wants --recover");
    if (o->insist && !(o->cid && o->recover))
        return refuse("--insist wants --cid and --recover");
    if (o->slow >= o->sessions)
        return refuse("--slow must be less than --sessions: somebody has to read");
    if (o->rooms_per_session > o->rooms)
        return refuse("--rooms-per-session cannot be more than --rooms");
    if (o->allow_told && o->rate <= 0 && !o->await_reply)
        return refuse("--allow-told wants --rate or --await-reply: a publication that somebody "
                      "missed never completes");
    if (o->expect_close && o->rate <= 0 && o->in_flight)
        return refuse("--expect-close wants --rate, or --in-flight 0");
    if (o->cid && o->size < 144)
        return refuse("--cid wants --size 144 or more");
    if (o->slice && (o->rate > 0 || o->in_flight == 0))
        return refuse("--slice wants a closed loop");
    if (o->split > 1 && o->publishers)
        return refuse("--split and --publishers exclude each other");
    return true;
}

enum options_result options_parse(struct options *options, int argc, char **argv)
{
    *options = defaults;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help();
            return OPTIONS_HELP;
        }
        const struct option_row *row = find_row(argv[i]);
        if (!row) {
            fprintf(stderr, "there is no option '%s'; --help lists them\n", argv[i]);
            return OPTIONS_BAD;
        }
        bool valued = row->kind != FLAG;
        if (valued && ++i == argc) {
            fprintf(stderr, "--%s wants a value\n", row->name);
            return OPTIONS_BAD;
        }
        if (!store(options, row, valued ? argv[i] : ""))
            return OPTIONS_BAD;
    }
    return agree(options) ? OPTIONS_OK : OPTIONS_BAD;
}
