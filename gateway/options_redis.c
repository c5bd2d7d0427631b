/* SPDX-License-Identifier: MIT */
/* options_redis.c: the tables of the sections [redis] and [redis NAME]. */
#include "gateway/options_table.h"

#include "backplane/redis/sentinel.h"
#include "gateway/options.h"

#include <string.h>

#define GATEWAY(field) OPTION_FIELD(struct options, redis.field)

/* Keys are taken apart by nobody, but people read them. */
static bool is_prefix(const char *text)
{
    if (!*text || strlen(text) > 64)
        return false;
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~')
            return false;
    return true;
}

static bool is_address(const char *text)
{
    struct redis_address address;
    return redis_address_parse(&address, text);
}

static bool is_master(const char *text)
{
    return strlen(text) <= REDIS_MASTER_MAX && !strpbrk(text, " \t\r\n");
}

/* Of a server: `type_` is the struct, `at_` what stands before the field. */
#define MASTER(type_, at_)                                                                         \
    {                                                                                              \
        .key = "master", .type = OPTION_STRING, OPTION_FIELD(type_, at_ master),                   \
        .check = is_master, .allowed = "at most 64 bytes without white space", .argument = "NAME", \
        .initial = "", .help = "With sentinels: the name under which they know the master.",       \
    }
#define SENTINEL_PASSWORD(type_, at_)                                                              \
    {                                                                                              \
        .key = "sentinel_password", .type = OPTION_STRING,                                         \
        OPTION_FIELD(type_, at_ sentinel_password), .secret = true, .argument = "PASSWORD",        \
        .initial = "", .help = "The password of the Sentinels.",                                   \
    }
#define SENTINEL_PASSWORD_FILE(type_, at_)                                                         \
    {                                                                                              \
        .key = "sentinel_password_file", .type = OPTION_STRING,                                    \
        OPTION_FIELD(type_, at_ sentinel_password_file), .argument = "FILE", .initial = "",        \
        .help = "A file with that password; the end of its line does not count.",                  \
    }
#define SENTINEL_USER(type_, at_)                                                                  \
    {                                                                                              \
        .key = "sentinel_user", .type = OPTION_STRING, OPTION_FIELD(type_, at_ sentinel_user),     \
        .argument = "NAME", .initial = "",                                                         \
        .help = "The user to log in as at the Sentinels; none: the default user.",                 \
    }
#define SENTINELS(type_, at_)                                                                      \
    {                                                                                              \
        .key = "sentinels", .type = OPTION_LIST, OPTION_LIST_FIELD(type_, at_ sentinels),          \
        .max = REDIS_SENTINELS_MAX, .check = is_address, .allowed = "HOST:PORT, at most 8",        \
        .argument = "HOST:PORT …", .initial = "",                                                  \
        .help = "Sentinels that know where the master is, and are asked all the time. The url "    \
                "then says how to log in there (user, password, database, rediss for TLS); its "   \
                "host does not count.",                                                            \
    }

#define TEXT(key_, field_, argument_, help_)                                                       \
    {                                                                                              \
        .key = key_, .type = OPTION_STRING, GATEWAY(field_), .argument = argument_, .initial = "", \
        .help = help_,                                                                             \
    }

const struct option redis_options[REDIS_OPTION_COUNT] = {
    {
        .key = "appendfsync_always",
        .type = OPTION_BOOL,
        GATEWAY(appendfsync_always),
        .initial = "off",
        .help = "The server runs with appendonly yes and appendfsync always: a restart loses "
                "nothing that was answered, so clients go on where they were. Otherwise rooms "
                "begin a new epoch after each restart of the server, and clients are told.",
    },
    {
        .key = "command_timeout",
        .type = OPTION_DURATION,
        GATEWAY(command_timeout_ms),
        .min = 100,
        .max = SECONDS(60),
        .initial = "5s",
        .help = "A server that says nothing for so long while it is asked is taken for gone.",
    },
    {
        .key = "commands",
        .type = OPTION_NUMBER,
        GATEWAY(commands),
        .min = 100,
        .max = 1000000,
        .initial = "10000",
        .help = "Commands under way at a time. More fail at once with a temporary error.",
    },
    {
        .key = "connect_timeout",
        .type = OPTION_DURATION,
        GATEWAY(connect_timeout_ms),
        .min = 100,
        .max = SECONDS(60),
        .initial = "5s",
        .help = "A connection that takes longer, with TLS and login, is given up and tried again.",
    },
    MASTER(struct options, redis.only.),
    {
        .key = "out_bytes",
        .type = OPTION_SIZE,
        GATEWAY(out_bytes),
        .min = MIB(1),
        .max = GIB(4),
        .initial = "32MiB",
        .help = "Bytes of commands that wait to be sent. More fail at once.",
    },
    {
        .key = "prefix",
        .type = OPTION_STRING,
        GATEWAY(prefix),
        .check = is_prefix,
        .allowed = "1 to 64 visible ASCII characters",
        .argument = "NAME",
        .initial = "madang",
        .help = "What every key and channel begins with. Gateways with another prefix have rooms "
                "of their own.",
    },
    ROOM_MEMORY(struct options, redis.remember_ms),
    {
        .key = "required",
        .type = OPTION_BOOL,
        GATEWAY(required),
        .initial = "off",
        .help = "Do not start while the server cannot be reached. Otherwise start, say so, and "
                "connect when it is there. A server that refuses the login or is unsuitable is "
                "always refused.",
    },
    SENTINEL_PASSWORD(struct options, redis.only.),
    SENTINEL_PASSWORD_FILE(struct options, redis.only.),
    SENTINEL_USER(struct options, redis.only.),
    SENTINELS(struct options, redis.only.),
    TEXT("tls_ca_file", tls_ca_file, "FILE",
         "Certificates to trust, in PEM, instead of the system's."),
    TEXT("tls_cert_file", tls_cert_file, "FILE",
         "The certificate to show, in PEM; with tls_key_file."),
    {
        .key = "tls_insecure",
        .type = OPTION_BOOL,
        GATEWAY(tls_insecure),
        .initial = "off",
        .help = "Do not verify the server's certificate: anyone on the way can read and write.",
    },
    TEXT("tls_key_file", tls_key_file, "FILE", "The key of tls_cert_file, in PEM."),
    TEXT("tls_server_name", tls_server_name, "NAME",
         "The name that the server's certificate must have, instead of the host of the URL."),
    {
        .key = "url",
        .type = OPTION_STRING,
        GATEWAY(only.url),
        .secret = true,
        .argument = "URL",
        .initial = "",
        .help = "With backplane redis, the server: redis://[user:password@]host[:port][/database], "
                "rediss://… with TLS, unix:///path. A password on the command line can be seen by "
                "others: better use url_file.",
    },
    TEXT("url_file", only.url_file, "FILE",
         "A file with that URL; the end of its line does not count."),
};

#define PLACE(field) OPTION_FIELD(struct redis_place, field)

const struct option server_options[SERVER_OPTION_COUNT] = {
    MASTER(struct redis_place, ),
    SENTINEL_PASSWORD(struct redis_place, ),
    SENTINEL_PASSWORD_FILE(struct redis_place, ),
    SENTINEL_USER(struct redis_place, ),
    SENTINELS(struct redis_place, ),
    {
        .key = "url",
        .type = OPTION_STRING,
        PLACE(url),
        .secret = true,
        .argument = "URL",
        .initial = "",
        .help = "Where this server is, as [redis] url.",
    },
    {
        .key = "url_file",
        .type = OPTION_STRING,
        PLACE(url_file),
        .argument = "FILE",
        .initial = "",
        .help = "A file with that URL.",
    },
};
