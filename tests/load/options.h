/* SPDX-License-Identifier: MIT */
/*
 * What the command line asked for. One table in options.c is behind the parser and `--help`.
 * Strings point into argv or at constants. Read-only after options_parse.
 */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    /* where */
    const char *host;
    const char *port;         /* one or several, with commas */
    const char *publish_port; /* of those that only publish; NULL: as all */
    const char *path;
    const char *connect; /* JSON body of the connect command */
    const char *prefix;  /* of room names */
    /* who */
    uint64_t sessions;
    uint64_t rooms;
    uint64_t rooms_per_session;
    uint64_t publishers;
    uint64_t split;
    uint64_t burst;
    uint64_t connect_rate;
    bool join_leave;
    bool recover;
    bool roam;
    /* what they send */
    uint64_t in_flight;
    double rate;
    bool await_reply;
    uint64_t size;
    bool cid;
    bool insist;
    uint64_t messages;
    /* trouble */
    uint64_t slow;
    uint64_t slow_rate;
    uint64_t slow_buffer;
    double cut;
    bool allow_told;
    uint64_t expect_close;
    /* how long, in seconds */
    double warmup;
    double duration;
    double settle;
    double patience;
    uint64_t slice; /* ms */
    /* what is reported */
    uint64_t pid;
    uint64_t server_pid;
    const char *json;
    bool quiet;
};

enum options_result {
    OPTIONS_OK,
    OPTIONS_HELP, /* the help was asked for and printed */
    OPTIONS_BAD,  /* a sentence was printed to stderr */
};

enum options_result options_parse(struct options *options, int argc, char **argv);

#endif
