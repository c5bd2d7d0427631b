/* SPDX-License-Identifier: MIT */
/* options_worker.c: the tables of the sections [worker], [webhook] and [jobs]. */
#include "gateway/options_table.h"

#include "gateway/networks.h"
#include "gateway/options.h"
#include "gateway/webhook.h"

#include <ctype.h>
#include <string.h>

#define GATEWAY(field)      OPTION_FIELD(struct options, field)
#define GATEWAY_LIST(field) OPTION_LIST_FIELD(struct options, field)

#define NAME_MAX_BYTES 64

static bool is_url(const char *text)
{
    return !*text || strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

static bool is_queue(const char *text)
{
    size_t n = strlen(text);
    return n > 0 && n <= NAME_MAX_BYTES;
}

static bool is_word(const char *text)
{
    return *text != '\0';
}

static bool is_owner(const char *text)
{
    return strlen(text) <= NAME_MAX_BYTES;
}

static bool is_variable(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_')
            return false;
    return *text && !isdigit((unsigned char)*text);
}

#define PLACES(key_, field_, initial_, what_)                                                      \
    {                                                                                              \
        .key = key_, .type = OPTION_NUMBER, GATEWAY(field_), .min = 1, .max = 1000,                \
        .initial = initial_, .help = "How many " what_ " at a time.",                              \
    }

const struct option worker_options[WORKER_OPTION_COUNT] = {
    {
        .key = "enabled",
        .type = OPTION_BOOL,
        GATEWAY(worker_enabled),
        .initial = "on",
        .help = "Whether `madang serve` does jobs of the queues _publish, _webhook and _notify "
                "itself. It runs no programs.",
    },
    {
        .key = "exec",
        .type = OPTION_LIST,
        GATEWAY_LIST(worker_exec),
        .max = 64,
        .check = is_word,
        .allowed = "words: a path, and what stands behind it",
        .argument = "WORD …",
        .initial = "",
        .help = "The program that `madang worker` runs for each job, by its path, and what stands "
                "behind it. It gets the job's data on standard input. Without it no program is "
                "run.",
    },
    {
        .key = "exec_environment",
        .type = OPTION_LIST,
        GATEWAY_LIST(worker_exec_environment),
        .max = 64,
        .check = is_variable,
        .allowed = "names of variables",
        .argument = "NAME …",
        .initial = "",
        .help = "Variables that the program gets as the worker has them. It gets no others, but "
                "for MADANG_JOB_ID, MADANG_JOB_KIND, MADANG_JOB_QUEUE and MADANG_JOB_DELIVERY.",
    },
    PLACES("exec_places", worker_exec_places, "4", "programs run"),
    {
        .key = "exec_queues",
        .type = OPTION_LIST,
        GATEWAY_LIST(worker_exec_queues),
        .min = 1,
        .max = 8,
        .check = is_queue,
        .allowed = "names of queues, of at most 64 bytes",
        .argument = "QUEUE …",
        .initial = "_exec",
        .help = "The queues whose jobs the program is run for, the first one first.",
    },
    {
        .key = "exec_timeout",
        .type = OPTION_DURATION,
        GATEWAY(worker_exec_timeout_ms),
        .min = SECONDS(1),
        .max = HOURS(12),
        .initial = "10m",
        .help = "How long a program may run. Then it is ended, and the job has failed.",
    },
    {
        .key = "grace",
        .type = OPTION_DURATION,
        GATEWAY(worker_grace_ms),
        .max = HOURS(1),
        .initial = "3s",
        .help = "At the end, how long jobs under way may still take. What is not done by then is "
                "given back, and that is no failure.",
    },
    {
        .key = "lease",
        .type = OPTION_DURATION,
        GATEWAY(worker_lease_ms),
        .min = SECONDS(5),
        .max = HOURS(1),
        .initial = "30s",
        .help = "How long jobs are held by one lease. It is renewed while they are done; after "
                "the loss of a worker others wait for so long.",
    },
    {
        .key = "name",
        .type = OPTION_STRING,
        GATEWAY(worker_name),
        .check = is_owner,
        .allowed = "at most 64 bytes",
        .argument = "NAME",
        .initial = "",
        .help = "By what people see who holds a job; by default host and process.",
    },
    PLACES("publish_places", worker_publish_places, "64", "delayed publications are made"),
    {
        .key = "url",
        .type = OPTION_STRING,
        GATEWAY(worker_url),
        .check = is_url,
        .allowed = "a URL that begins with http:// or https://",
        .argument = "URL",
        .initial = "",
        .help = "The gateway whose jobs `madang worker` does, as http://HOST:PORT. Without it "
                "jobs come through the socket beside the store.",
    },
};

const struct option webhook_options[WEBHOOK_OPTION_COUNT] = {
    {
        .key = "allow_networks",
        .type = OPTION_LIST,
        GATEWAY_LIST(webhook_networks),
        .max = 64,
        .check = network_is,
        .allowed = "networks such as 10.0.0.0/8 or fd00::/8, and addresses",
        .argument = "NETWORK …",
        .initial = "",
        .help = "Networks that may be called although they are private. All others that are "
                "private, local or otherwise special are refused, whatever a name leads to.",
    },
    {
        .key = "ca_file",
        .type = OPTION_STRING,
        GATEWAY(webhook_ca_file),
        .argument = "FILE",
        .initial = "",
        .help = "Certificates of authorities that are trusted instead of the system's.",
    },
    {
        .key = "per_host",
        .type = OPTION_NUMBER,
        GATEWAY(webhook_per_host),
        .min = 1,
        .max = 1000,
        .initial = "8",
        .help = "How many calls are made to one host and port at a time.",
    },
    PLACES("places", webhook_places, "64", "calls are made"),
    {
        .key = "secret",
        .type = OPTION_STRING,
        GATEWAY(webhook_secret),
        .secret = true,
        .check = webhook_secret_is,
        .allowed = "a text, or whsec_ and base64",
        .argument = "SECRET",
        .initial = "",
        .help = "With what calls are signed (Standard Webhooks). Without it they are not. On the "
                "command line others can see it: better use a file.",
    },
    {
        .key = "secret_file",
        .type = OPTION_STRING,
        GATEWAY(webhook_secret_file),
        .argument = "FILE",
        .initial = "",
        .help = "A file with that secret; the end of its line does not count.",
    },
    {
        .key = "timeout",
        .type = OPTION_DURATION,
        GATEWAY(webhook_timeout_ms),
        .min = 100,
        .max = HOURS(1),
        .initial = "10s",
        .help = "How long a call may take; a job can ask for less. Less than half of a lease.",
    },
};

static bool is_kind(const char *text)
{
    return strcmp(text, "publish") == 0;
}

const struct option jobs_options[JOBS_OPTION_COUNT] = {
    {
        .key = "address_per_hour",
        .type = OPTION_NUMBER,
        GATEWAY(rates[SCOPE_ADDRESS][RATE_JOBS]),
        .max = 1000000000,
        .initial = "10000",
        .help = "How many jobs may be asked for in an hour from one address. 0: any number.",
    },
    {
        .key = "kinds",
        .type = OPTION_LIST,
        GATEWAY_LIST(jobs_kinds),
        .max = 1,
        .check = is_kind,
        .allowed = "publish",
        .argument = "KIND",
        .initial = "publish",
        .help = "What clients may ask for by jobs.submit. publish: that something is published "
                "later, in a room where they may publish now.",
    },
    {
        .key = "max_delay",
        .type = OPTION_DURATION,
        GATEWAY(jobs_max_delay_ms),
        .min = SECONDS(1),
        .max = DAYS(3650),
        .initial = "8784h",
        .help = "How far away the time of a job may be.",
    },
    {
        .key = "per_user",
        .type = OPTION_NUMBER,
        GATEWAY(jobs_per_user),
        .min = 1,
        .max = 1000,
        .initial = "20",
        .help = "How many jobs a user may have that are not done.",
    },
    {
        .key = "user_per_hour",
        .type = OPTION_NUMBER,
        GATEWAY(rates[SCOPE_USER][RATE_JOBS]),
        .max = 1000000000,
        .initial = "600",
        .help = "How many jobs a user may ask for in an hour, those that are done or cancelled by "
                "now counted too; one more is answered with error 111. 0: any number.",
    },
};
