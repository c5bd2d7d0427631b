/* SPDX-License-Identifier: MIT */
/* options_gateway.c: the table of the section [gateway]. */
#include "gateway/options_table.h"

#include "backplane/base/log.h"
#include "gateway/endpoint.h"
#include "gateway/networks.h"
#include "gateway/options.h"

#include <string.h>

#define GATEWAY(field)      OPTION_FIELD(struct options, field)
#define GATEWAY_LIST(field) OPTION_LIST_FIELD(struct options, field)

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

/* In the order of enum auth_mode and enum backplane_kind. */
static const char *const AUTH_WORDS[] = {"guest", "insecure", "jwt", NULL};
static const char *const BACKPLANE_WORDS[] = {"local", "redis", NULL};

/* ---- syntax of single words ---- */

/* A name as DNS has it, an IPv4 address, or an IPv6 address in brackets; *rest is what follows. */
static bool skip_host(const char *text, const char **rest)
{
    size_t n = text[0] == '[' ? 1 + strspn(text + 1, DIGITS "abcdefABCDEF:.")
                              : strspn(text, LETTERS DIGITS "-.");
    if (text[0] == '[' && text[n++] != ']')
        return false;
    *rest = text + n;
    return n > 0 && n <= 253;
}

static bool is_host(const char *text)
{
    const char *rest;
    return skip_host(text, &rest) && *rest == '\0';
}

static bool is_origin(const char *text)
{
    const char *host = strstr(text, "://"), *rest;
    if (!host || (strncmp(text, "http:", 5) != 0 && strncmp(text, "https:", 6) != 0))
        return false;
    if (host != strchr(text, ':') || !skip_host(host + 3, &rest))
        return false;
    if (*rest == ':') {
        size_t digits = strspn(rest + 1, DIGITS);
        rest += digits && digits <= 5 ? 1 + digits : 0;
    }
    return *rest == '\0';
}

static bool is_store(const char *text)
{
    return *text && strlen(text) <= 1000;
}

/* ---- the table ---- */

#define ENDPOINTS                                                                                  \
    "HOST:PORT, where HOST is an IPv4 address, an IPv6 address in brackets or localhost, and "     \
    "PORT is 0 to 65535; or unix:/PATH; each of them with proxy: in front or not"

const struct option gateway_options[GATEWAY_OPTION_COUNT] = {
    {
        .key = "allowed_origins",
        .type = OPTION_LIST,
        GATEWAY_LIST(allowed_origins),
        .reload = RELOAD_LIVE,
        .max = 64,
        .check = is_origin,
        .allowed =
            "origins such as https://chat.example.org or http://localhost:3000, without path",
        .argument = "ORIGIN …",
        .initial = "",
        .help = "Web pages of these origins may connect, beside pages that come from this gateway.",
    },
    {
        .key = "auth",
        .type = OPTION_CHOICE,
        GATEWAY(auth),
        .choices = AUTH_WORDS,
        .initial = "guest",
        .help = "How a client says who it is. guest: it picks a name and keeps a random key. "
                "insecure: everything is permitted without a token, for tests and load runs only. "
                "jwt: it shows a token that was signed with a key of [jwt].",
    },
    {
        .key = "backplane",
        .type = OPTION_CHOICE,
        GATEWAY(backplane),
        .choices = BACKPLANE_WORDS,
        .initial = "local",
        .help = "What connects hubs. local: the memory of this process. redis: a Redis server, "
                "named in [redis], which connects any number of gateways.",
    },
    {
        .key = "drain_delay",
        .type = OPTION_DURATION,
        GATEWAY(drain_delay_ms),
        .reload = RELOAD_LIVE,
        .max = MINUTES(10),
        .initial = "0s",
        .help = "How long a stopping gateway is not ready but still accepts, so that a load "
                "balancer can notice. Part of shutdown_timeout.",
    },
    {
        .key = "hubs",
        .type = OPTION_NUMBER,
        GATEWAY(hubs),
        .max = 64,
        .initial = "0",
        .help = "Event loop threads for connections. 0: one per core, at most 8.",
    },
    {
        .key = "internal_listen",
        .type = OPTION_LIST,
        GATEWAY_LIST(internal_listen),
        .max = 16,
        .check = endpoint_is,
        .allowed = ENDPOINTS,
        .argument = "HOST:PORT …",
        .initial = "",
        .help = "Addresses for the server API and the metrics alone. If there are any, these two "
                "are served nowhere else, and the page and WebSocket connections not there.",
    },
    {
        .key = "listen",
        .type = OPTION_LIST,
        GATEWAY_LIST(listen),
        .min = 1,
        .max = 16,
        .check = endpoint_is,
        .allowed = ENDPOINTS,
        .argument = "HOST:PORT …",
        .initial = "127.0.0.1:8000 [::1]:8000",
        .help = "Addresses to listen on. localhost stands for 127.0.0.1 and [::1]; port 0 lets the "
                "system choose; unix:/PATH is a unix socket (mode 0660). With proxy: in front, "
                "every connection there must begin with a PROXY header (version 1 or 2).",
    },
    {
        .key = "log_level",
        .type = OPTION_CHOICE,
        GATEWAY(log_level),
        .reload = RELOAD_LIVE,
        .choices = log_level_words,
        .initial = "info",
        .help = "The least important messages that are still written to standard error.",
    },
    {
        .key = "max_connections",
        .type = OPTION_NUMBER,
        GATEWAY(max_connections),
        .reload = RELOAD_LIVE,
        .min = 1,
        .max = 1000000,
        .initial = "19000",
        .help = "Connections at a time. The limit of open files is raised to fit, at the start: "
                "reading the configuration again can lower this and raise it up to that again.",
    },
    {
        .key = "max_connections_per_address",
        .type = OPTION_NUMBER,
        GATEWAY(max_connections_per_address),
        .reload = RELOAD_LIVE,
        .max = 1000000,
        .initial = "1000",
        .help = "Connections at a time of one client address, or of one /64 of IPv6. One more is "
                "closed, or refused with 429 if a trusted proxy has named its client. Loopback "
                "and trusted proxies themselves are not counted. 0: any number.",
    },
    {
        .key = "public_names",
        .type = OPTION_LIST,
        GATEWAY_LIST(public_names),
        .reload = RELOAD_LIVE,
        .max = 64,
        .check = is_host,
        .allowed = "host names such as chat.example.org, without scheme, port or path",
        .argument = "NAME …",
        .initial = "",
        .help = "Host names under which browsers reach this gateway, beside loopback and the "
                "addresses it listens on. Requests for other hosts are refused.",
    },
    {
        .key = "shutdown_timeout",
        .type = OPTION_DURATION,
        GATEWAY(shutdown_timeout_ms),
        .reload = RELOAD_LIVE,
        .min = SECONDS(1),
        .max = MINUTES(10),
        .initial = "9s",
        .help = "How long stopping may take from the first signal to the end of the process.",
    },
    {
        .key = "store",
        .type = OPTION_STRING,
        GATEWAY(store),
        .check = is_store,
        .allowed = "the path of a file, of at most 1000 bytes, or none",
        .argument = "PATH|none",
        .initial = "./madang.db",
        .help = "With backplane local, the file in which rooms are kept; it is made if it is not "
                "there. none: in memory only, gone when the process ends.",
    },
    {
        .key = "trusted_proxies",
        .type = OPTION_LIST,
        GATEWAY_LIST(trusted_proxies),
        .reload = RELOAD_LIVE,
        .max = 64,
        .check = network_is,
        .allowed = "networks such as 10.0.0.0/8 or fd00::/8, addresses, or unix for whoever comes "
                   "by a unix socket",
        .argument = "NETWORK …",
        .initial = "",
        .help = "Proxies whose X-Forwarded-For is believed, so that limits count the real client. "
                "If set, PROXY headers are taken from them only.",
    },
};
