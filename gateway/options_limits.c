/* SPDX-License-Identifier: MIT */
/* options_limits.c: the table of the section [limits]. */
#include "gateway/options_table.h"

#include "gateway/options.h"

#define GATEWAY(field) OPTION_FIELD(struct options, field)

#define RATE_OPTION(key_, scope_, rate_, initial_, help_)                                          \
    {                                                                                              \
        .key = key_, .type = OPTION_NUMBER, GATEWAY(rates[scope_][rate_]), .max = 1000000,         \
        .initial = initial_, .help = help_,                                                        \
    }

#define BYTES_OPTION(key_, scope_, initial_, help_)                                                \
    {                                                                                              \
        .key = key_, .type = OPTION_SIZE, GATEWAY(rates[scope_][RATE_BYTES]), .max = MIB(1024),    \
        .initial = initial_, .help = help_,                                                        \
    }

const struct option limits_options[LIMITS_OPTION_COUNT] = {
    BYTES_OPTION("address_bytes", SCOPE_ADDRESS, "16MiB",
                 "Bytes per second of all sessions from one address. An IPv6 address stands for "
                 "its /64."),
    RATE_OPTION("address_commands", SCOPE_ADDRESS, RATE_COMMANDS, "5000",
                "Commands per second of all sessions from one address."),
    RATE_OPTION("address_connects", SCOPE_ADDRESS, RATE_CONNECTS, "100",
                "New sessions per second from one address; more are refused with 429 before "
                "the handshake."),
    RATE_OPTION("address_publishes", SCOPE_ADDRESS, RATE_PUBLISHES, "1000",
                "Publishes per second of all sessions from one address."),
    {
        .key = "address_subscriptions",
        .type = OPTION_NUMBER,
        GATEWAY(address_subscriptions),
        .max = 100000000,
        .initial = "20000",
        .help = "Subscriptions of all sessions from one address at a time; each hub allows its "
                "share. One more is answered with error 106. 0: any number.",
    },
    {
        .key = "burst",
        .type = OPTION_DURATION,
        GATEWAY(burst_ms),
        .min = SECONDS(1),
        .max = MINUTES(60),
        .initial = "10s",
        .help = "How much may be done at once: what the rate allows for so long. It comes back in "
                "the same time.",
    },
    {
        .key = "refusals",
        .type = OPTION_NUMBER,
        GATEWAY(refusals),
        .min = 1,
        .max = 1000000,
        .initial = "100",
        .help = "Commands of a session that are answered with error 111, in the time of burst. "
                "One more closes it with code 3013.",
    },
    {
        .key = "room_followers",
        .type = OPTION_NUMBER,
        GATEWAY(room_followers),
        .max = 10000000,
        .initial = "10000",
        .help = "Users that may follow one room. One more is answered with error 106.",
    },
    BYTES_OPTION("session_bytes", SCOPE_SESSION, "256KiB",
                 "Bytes per second that one session may send. 0: any number, as for all rates."),
    RATE_OPTION("session_commands", SCOPE_SESSION, RATE_COMMANDS, "100",
                "Commands per second of one session. Its first channel_limit subscribes do not "
                "count, nor do answers to pings."),
    RATE_OPTION("session_publishes", SCOPE_SESSION, RATE_PUBLISHES, "50",
                "Publishes per second of one session."),
    BYTES_OPTION("user_bytes", SCOPE_USER, "1MiB",
                 "Bytes per second of all sessions of one user. The user without a name is not "
                 "counted as one."),
    RATE_OPTION("user_commands", SCOPE_USER, RATE_COMMANDS, "300",
                "Commands per second of all sessions of one user."),
    RATE_OPTION("user_connects", SCOPE_USER, RATE_CONNECTS, "20",
                "Connects per second of one user."),
    {
        .key = "user_follows",
        .type = OPTION_NUMBER,
        GATEWAY(user_follows),
        .max = 100000,
        .initial = "500",
        .help = "Rooms that one user may follow, on each server that keeps rooms. One more is "
                "answered with error 106.",
    },
    RATE_OPTION("user_publishes", SCOPE_USER, RATE_PUBLISHES, "150",
                "Publishes per second of all sessions of one user."),
};
