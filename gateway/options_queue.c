/* SPDX-License-Identifier: MIT */
/* options_queue.c: the tables of the sections [queue] and [queue NAME]. */
#include "gateway/options_table.h"

#include "gateway/options.h"

/* The rules of a queue: `type_` is the struct, `at_` where they lie in it. */
#define RULE(type_, at_, key_, kind_, field_, min_, max_, initial_, help_)                         \
    {                                                                                              \
        .key = key_, .type = OPTION_##kind_, OPTION_FIELD(type_, at_.field_), .min = min_,         \
        .max = max_, .initial = initial_, .help = help_,                                           \
    }

#define RULES(type_, at_)                                                                          \
    RULE(type_, at_, "backoff", DURATION, backoff_ms, 1, HOURS(24), "1s",                          \
         "How long a job waits after its first failure; after each further one twice as long, "    \
         "half of it by chance."),                                                                 \
        RULE(type_, at_, "backoff_max", DURATION, backoff_cap_ms, 1, DAYS(30), "1h",               \
             "The longest such wait."),                                                            \
        RULE(type_, at_, "dead_jobs", NUMBER, dead_jobs, 1, 100000000, "100000",                   \
             "Dead jobs that are kept. Those that died first go first."),                          \
        RULE(type_, at_, "dead_ttl", DURATION, dead_ms, SECONDS(1), DAYS(3650), "720h",            \
             "How long dead jobs are kept."),                                                      \
        {                                                                                          \
            .key = "drop_expired",                                                                 \
            .type = OPTION_BOOL,                                                                   \
            OPTION_FIELD(type_, at_.drop_expired),                                                 \
            .initial = "off",                                                                      \
            .help = "Forget jobs whose ttl is over, rather than keep them as dead.",               \
        },                                                                                         \
        RULE(type_, at_, "key_ttl", DURATION, key_ms, SECONDS(1), DAYS(366), "168h",               \
             "A key is taken for so long at most, whatever becomes of its job."),                  \
        RULE(type_, at_, "max_bytes", SIZE, max_bytes, KIB(1), GIB(1024), "1GiB",                  \
             "Bytes of data of all jobs that are not dead. More is refused."),                     \
        RULE(type_, at_, "max_data", SIZE, max_data, 1, MIB(8), "256KiB",                          \
             "Bytes of data of one job."),                                                         \
        RULE(type_, at_, "max_deliveries", NUMBER, max_deliveries, 1, 1000000, "24",               \
             "A job that was handed out so often, however that ended, is dead."),                  \
        RULE(type_, at_, "max_failures", NUMBER, max_failures, 1, 1000000, "12",                   \
             "A job that failed so often is dead, unless it says another number."),                \
        RULE(type_, at_, "max_inflight", NUMBER, max_inflight, 0, 1000000, "0",                    \
             "Jobs that one worker, by the name that it gives, may hold at a time. 0: any "        \
             "number."),                                                                           \
        RULE(type_, at_, "max_jobs", NUMBER, max_jobs, 1, 1000000000, "1000000",                   \
             "Jobs that are not dead. More is refused."),                                          \
        RULE(type_, at_, "result_ttl", DURATION, result_ms, SECONDS(1), DAYS(366), "1h",           \
             "How long the result of a job that is done is kept.")

const struct option queue_options[QUEUE_OPTION_COUNT] = {
    RULES(struct options, queue),
    {
        .key = "waits",
        .type = OPTION_NUMBER,
        OPTION_FIELD(struct options, queue_waits),
        .min = 0,
        .max = 1000000,
        .initial = "10000",
        .help = "Calls of the server API on one hub that may wait for jobs at a time. More are "
                "told 111.",
    },
};

const struct option named_queue_options[NAMED_QUEUE_OPTION_COUNT] = {
    RULES(struct named_queue, rules),
};
