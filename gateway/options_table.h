/* SPDX-License-Identifier: MIT */
/* options_table.h: the table of all options, for options.c and the text made from it.
 *
 * Sections up to SECTION_ROOMS describe fields of struct options, SECTION_ROOMS fields of struct
 * room_rules, SECTION_SERVERS fields of struct redis_place, SECTION_QUEUES fields of struct
 * named_queue, SECTION_CRON fields of struct cron_entry. These stand in the file with a name behind
 * theirs, [rooms NAME], [redis NAME], [queue NAME], [cron NAME], any number of times. Those behind
 * SECTION_ROOMS have no flags and no variables.
 *
 * Names: an option is [section] key in the file, --key on the command line and MADANG_KEY in the
 * environment. Options of a `prefixed` section carry its name: --section-key, MADANG_SECTION_KEY.
 */
#ifndef MADANG_GATEWAY_OPTIONS_TABLE_H
#define MADANG_GATEWAY_OPTIONS_TABLE_H

#include "backplane/base/option.h"

#define OPTIONS_CONFIG_FLAG     "--config"
#define OPTIONS_CONFIG_VARIABLE "MADANG_CONFIG"
#define OPTIONS_VARIABLE_PREFIX "MADANG_"

enum section_id {
    SECTION_GATEWAY,
    SECTION_CLIENT,
    SECTION_LIMITS,
    SECTION_JWT,
    SECTION_HUB,
    SECTION_API,
    SECTION_BACKPLANE,
    SECTION_LOCAL,
    SECTION_TLS,
    SECTION_WORKER,
    SECTION_WEBHOOK,
    SECTION_NOTIFY,
    SECTION_JOBS,
    SECTION_REDIS,
    SECTION_QUEUE,
    SECTION_ROOMS,
    SECTION_SERVERS,
    SECTION_QUEUES,
    SECTION_CRON,
    SECTION_COUNT
};

extern const struct option_section option_sections[SECTION_COUNT];

/* The option `remember`, which every backplane that keeps rooms has. */
#define ROOM_MEMORY(type_, field_)                                                                 \
    {                                                                                              \
        .key = "remember", .type = OPTION_DURATION, OPTION_FIELD(type_, field_), .min = HOURS(1),  \
        .max = DAYS(3650), .initial = "720h",                                                      \
        .help = "A room that nobody has published to for so long is forgotten, with what "         \
                "history_ttl 0 would keep for good. It begins anew with another epoch.",           \
    }

/* The lists that have a file of their own. */
#define GATEWAY_OPTION_COUNT 14
extern const struct option gateway_options[GATEWAY_OPTION_COUNT];
#define API_OPTION_COUNT 7
extern const struct option api_options[API_OPTION_COUNT];
#define JWT_OPTION_COUNT 17
extern const struct option jwt_options[JWT_OPTION_COUNT];
#define LOCAL_OPTION_COUNT 2
extern const struct option local_options[LOCAL_OPTION_COUNT];
#define REDIS_OPTION_COUNT 20
extern const struct option redis_options[REDIS_OPTION_COUNT];
#define QUEUE_OPTION_COUNT 14
extern const struct option queue_options[QUEUE_OPTION_COUNT];
#define NAMED_QUEUE_OPTION_COUNT 13
extern const struct option named_queue_options[NAMED_QUEUE_OPTION_COUNT];
#define CRON_OPTION_COUNT 7
extern const struct option cron_options[CRON_OPTION_COUNT];
#define SERVER_OPTION_COUNT 7
extern const struct option server_options[SERVER_OPTION_COUNT];
#define LIMITS_OPTION_COUNT 16
extern const struct option limits_options[LIMITS_OPTION_COUNT];
#define TLS_OPTION_COUNT 2
extern const struct option tls_options[TLS_OPTION_COUNT];
#define WORKER_OPTION_COUNT 11
extern const struct option worker_options[WORKER_OPTION_COUNT];
#define WEBHOOK_OPTION_COUNT 7
extern const struct option webhook_options[WEBHOOK_OPTION_COUNT];
#define NOTIFY_OPTION_COUNT 6
extern const struct option notify_options[NOTIFY_OPTION_COUNT];
#define JOBS_OPTION_COUNT 5
extern const struct option jobs_options[JOBS_OPTION_COUNT];

#endif
