/* SPDX-License-Identifier: MIT */
/* options_notify.c: the table of the section [notify]. */
#include "gateway/options_table.h"

#include "gateway/http_client.h"
#include "gateway/options.h"
#include "gateway/webhook.h"

#include <string.h>

#define GATEWAY(field) OPTION_FIELD(struct options, field)

static bool is_url(const char *text)
{
    return !*text || (strlen(text) <= WEBHOOK_URL_MAX && http_url_is(text));
}

const struct option notify_options[NOTIFY_OPTION_COUNT] = {
    {
        .key = "delay",
        .type = OPTION_DURATION,
        GATEWAY(notify_delay_ms),
        .min = 100,
        .max = HOURS(24),
        .initial = "1m",
        .help = "So long after a message somebody may come and read it. Who is connected and has "
                "not read is looked at again after as long, until it reads or goes.",
    },
    {
        .key = "places",
        .type = OPTION_NUMBER,
        GATEWAY(notify_places),
        .min = 1,
        .max = 1000,
        .initial = "8",
        .help = "How many rooms are looked at, and told of, at a time.",
    },
    {
        .key = "secret",
        .type = OPTION_STRING,
        GATEWAY(notify_secret),
        .secret = true,
        .check = webhook_secret_is,
        .allowed = "a text, or whsec_ and base64",
        .argument = "SECRET",
        .initial = "",
        .help = "With what calls are signed; without it and secret_file as [webhook] says. On the "
                "command line others can see it: better use a file.",
    },
    {
        .key = "secret_file",
        .type = OPTION_STRING,
        GATEWAY(notify_secret_file),
        .argument = "FILE",
        .initial = "",
        .help = "A file with that secret; the end of its line does not count.",
    },
    {
        .key = "timeout",
        .type = OPTION_DURATION,
        GATEWAY(notify_timeout_ms),
        .min = 100,
        .max = HOURS(1),
        .initial = "10s",
        .help = "How long a call may take. Less than half of a lease.",
    },
    {
        .key = "url",
        .type = OPTION_STRING,
        GATEWAY(notify_url),
        .check = is_url,
        .allowed = "a URL that begins with http:// or https://, of at most 4096 bytes",
        .argument = "URL",
        .initial = "",
        .help = "Where to POST who follows a room, is away and has not read. It may be a private "
                "address. Without it nobody is told, and nothing is recorded. The same on all "
                "gateways.",
    },
};
