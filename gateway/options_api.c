/* SPDX-License-Identifier: MIT */
/* options_api.c: the table of the section [api]. */
#include "gateway/options_table.h"

#include "gateway/options.h"

#define GATEWAY(field) OPTION_FIELD(struct options, field)

/* In the order of enum api_error_mode. */
static const char *const ERROR_WORDS[] = {"body", "transport", NULL};

static bool is_key(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~')
            return false;
    return true;
}

const struct option api_options[API_OPTION_COUNT] = {
    {
        .key = "body_size",
        .type = OPTION_SIZE,
        GATEWAY(api_body_size),
        .min = KIB(1),
        .max = MIB(64),
        .initial = "1MiB",
        .help = "Bytes of the body of one call. A larger one is refused with 413.",
    },
    {
        .key = "bytes",
        .type = OPTION_SIZE,
        GATEWAY(api_bytes),
        .min = KIB(64),
        .max = GIB(16),
        .initial = "64MiB",
        .help = "Bytes of the bodies of all calls in progress on one hub. Past that they are "
                "refused with 503.",
    },
    {
        .key = "calls",
        .type = OPTION_NUMBER,
        GATEWAY(api_calls),
        .min = 1,
        .max = 100000,
        .initial = "1024",
        .help = "Calls in progress on one hub. Past that they are refused with 503.",
    },
    {
        .key = "error_mode",
        .type = OPTION_CHOICE,
        GATEWAY(api_error_mode),
        .choices = ERROR_WORDS,
        .initial = "body",
        .help = "How errors of a call are told. body: status 200 and an error object. transport: "
                "the status tells it too. A call can ask for transport by a header.",
    },
    {
        .key = "key",
        .type = OPTION_STRING,
        GATEWAY(api_key),
        .secret = true,
        .check = is_key,
        .allowed = "printable ASCII without spaces",
        .argument = "KEY",
        .initial = "",
        .help = "A key that may do everything over the server API. Without any key nobody may "
                "use it. The environment and files are better places than a command line.",
    },
    {
        .key = "key_file",
        .type = OPTION_STRING,
        GATEWAY(api_key_file),
        .argument = "FILE",
        .initial = "",
        .help = "A file with keys for the server API: one per line, and behind it what it is for, "
                "if not for everything: publish, read, moderate, jobs, admin.",
    },
    {
        .key = "timeout",
        .type = OPTION_DURATION,
        GATEWAY(api_timeout_ms),
        .min = 100,
        .max = MINUTES(10),
        .initial = "10s",
        .help = "How long the body of a call may take to come, and as long again its answer to be "
                "made and taken.",
    },
};
