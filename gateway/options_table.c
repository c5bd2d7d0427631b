/* SPDX-License-Identifier: MIT */
#include "gateway/options_table.h"

#include "backplane/base/count.h"

#include "gateway/options.h"

#include <string.h>

#define GATEWAY(field) OPTION_FIELD(struct options, field)
#define ROOM(field)    OPTION_FIELD(struct room_rules, field)

#define LOWER   "abcdefghijklmnopqrstuvwxyz"
#define LETTERS LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

static const char *const DELTA_WORDS[] = {"none", "fossil", NULL};
static const char *const RECOVERY_WORDS[] = {"stream", "cache", NULL};

static bool is_member_name(const char *text)
{
    return text[strspn(text, LETTERS DIGITS "_-.")] == '\0';
}

/* ---- the table; every list is alphabetical ---- */

#define CLIENT_SWITCH(name_, help_)                                                                \
    {                                                                                              \
        .key = #name_, .type = OPTION_BOOL, GATEWAY(name_), .initial = "off", .help = help_,       \
    }

static const struct option CLIENT_OPTIONS[] = {
    CLIENT_SWITCH(allow_anonymous_connect_without_token,
                  "With auth jwt, who has no token may connect as the user without a name."),
    {
        .key = "channel_limit",
        .type = OPTION_NUMBER,
        GATEWAY(channel_limit),
        .min = 1,
        .max = 10000,
        .initial = "128",
        .help = "Subscriptions of one session.",
    },
    {
        .key = "channel_max_length",
        .type = OPTION_NUMBER,
        GATEWAY(channel_max_length),
        .min = 1,
        .max = 1024,
        .initial = "255",
        .help = "Bytes of a room name.",
    },
    {
        .key = "command_size",
        .type = OPTION_SIZE,
        GATEWAY(command_size),
        .min = KIB(1),
        .max = MIB(16),
        .initial = "64KiB",
        .help = "Bytes of one command. A longer one closes the session with code 1009.",
    },
    {
        .key = "credits",
        .type = OPTION_NUMBER,
        GATEWAY(credits),
        .min = 1,
        .max = 65536,
        .initial = "256",
        .help = "Requests of one session that may wait for an answer before it is no longer read.",
    },
    CLIENT_SWITCH(disallow_anonymous_connection_tokens,
                  "Tokens for the user without a name are refused with code 3507."),
    {
        .key = "expired_close_delay",
        .type = OPTION_DURATION,
        GATEWAY(expired_close_delay_ms),
        .max = HOURS(1),
        .initial = "25s",
        .help = "How long after its token has expired a session that did not refresh it is closed "
                "with code 3005.",
    },
    {
        .key = "expired_sub_close_delay",
        .type = OPTION_DURATION,
        GATEWAY(expired_sub_close_delay_ms),
        .max = HOURS(1),
        .initial = "25s",
        .help = "How long after its token has expired a subscription that was not refreshed ends.",
    },
    {
        .key = "frame_size",
        .type = OPTION_SIZE,
        GATEWAY(frame_size),
        .min = KIB(1),
        .max = MIB(64),
        .initial = "1MiB",
        .help = "Bytes of one frame, which may hold several commands.",
    },
    {
        .key = "handshakes",
        .type = OPTION_NUMBER,
        GATEWAY(handshakes),
        .min = 1,
        .max = 100000,
        .initial = "1000",
        .help = "Connections at a time that have not finished their handshake, of one address a "
                "quarter of them. One more takes the place of the oldest.",
    },
    {
        .key = "history_bytes",
        .type = OPTION_SIZE,
        GATEWAY(history_bytes),
        .min = KIB(1),
        .max = MIB(64),
        .initial = "512KiB",
        .help = "Bytes of one history or recovery reply.",
    },
    {
        .key = "history_limit",
        .type = OPTION_NUMBER,
        GATEWAY(history_limit),
        .min = 1,
        .max = 10000,
        .initial = "300",
        .help = "Publications of one history reply.",
    },
    CLIENT_SWITCH(
        personal_room,
        "With auth jwt, each session is put into the room of its user: # and the user id, "
        "in which all but letters and digits and !$&'()*+-./;=?@_|~ is percent-encoded."),
    {
        .key = "personal_room_namespace",
        .type = OPTION_NAME,
        GATEWAY(personal_room_namespace),
        .check = is_member_name,
        .allowed = "a namespace with a [rooms NAME] of its own, or nothing",
        .initial = "",
        .help = "The namespace of these rooms.",
    },
    {
        .key = "ping_interval",
        .type = OPTION_DURATION,
        GATEWAY(ping_interval_ms),
        .min = SECONDS(1),
        .max = HOURS(1),
        .initial = "25s",
        .help = "How often a session is pinged.",
    },
    {
        .key = "pong_timeout",
        .type = OPTION_DURATION,
        GATEWAY(pong_timeout_ms),
        .min = 100,
        .max = MINUTES(10),
        .initial = "8s",
        .help = "How long after a ping its answer may take; then the session is closed with code "
                "3012.",
    },
    {
        .key = "presence_bytes",
        .type = OPTION_SIZE,
        GATEWAY(presence_bytes),
        .min = KIB(1),
        .max = MIB(64),
        .initial = "512KiB",
        .help = "Bytes of one presence reply.",
    },
    {
        .key = "queue_bytes",
        .type = OPTION_SIZE,
        GATEWAY(queue_bytes),
        .min = KIB(4),
        .max = GIB(1),
        .initial = "1MiB",
        .help = "Bytes that may wait for a session that reads slowly; past that it is closed with "
                "code 3008.",
    },
    {
        .key = "queue_time",
        .type = OPTION_DURATION,
        GATEWAY(queue_ms),
        .min = 100,
        .max = MINUTES(10),
        .initial = "10s",
        .help =
            "How long they may wait; past that it is closed with code 3008. Where a reload makes "
            "it longer than 15s, connections from before are cut without a code after 30s.",
    },
    CLIENT_SWITCH(
        single_connection,
        "With auth jwt, a new connection of a user closes the user's older ones with code "
        "3504, on all gateways that share their rooms."),
    {
        .key = "stale_close_delay",
        .type = OPTION_DURATION,
        GATEWAY(stale_close_delay_ms),
        .min = 100,
        .max = MINUTES(10),
        .initial = "10s",
        .help = "How long a connection may stay open without a connect command.",
    },
    {
        .key = "user_connection_limit",
        .type = OPTION_NUMBER,
        GATEWAY(user_connection_limit),
        .max = 1000000,
        .initial = "0",
        .help = "With auth jwt, connections of one user, on all gateways that share their rooms; "
                "one more is closed with code 3504. 0: any number.",
    },
};

static const struct option HUB_OPTIONS[] = {
    {
        .key = "credits",
        .type = OPTION_NUMBER,
        GATEWAY(hub_credits),
        .reload = RELOAD_LIVE,
        .min = 1,
        .max = 1000000,
        .initial = "16384",
        .help = "Requests of all sessions of a hub that may wait for an answer.",
    },
    {
        .key = "inbox_bytes",
        .type = OPTION_SIZE,
        GATEWAY(hub_inbox_bytes),
        .min = KIB(4),
        .max = GIB(16),
        .initial = "16MiB",
        .help = "Bytes of pushes that may wait for a hub; past that it is left behind, and filled "
                "from the streams once it has caught up.",
    },
    {
        .key = "queue_bytes",
        .type = OPTION_SIZE,
        GATEWAY(hub_queue_bytes),
        .reload = RELOAD_LIVE,
        .min = KIB(4),
        .max = GIB(64),
        .initial = "256MiB",
        .help = "Bytes that may wait for all sessions of a hub; past that those with the most are "
                "closed first.",
    },
};

static const struct option BACKPLANE_OPTIONS[] = {
    {
        .key = "max_rooms",
        .type = OPTION_NUMBER,
        GATEWAY(max_rooms),
        .min = 1,
        .max = 10000000,
        .initial = "100000",
        .help = "Rooms remembered. Past that the ones longest idle are forgotten first.",
    },
    {
        .key = "max_sanctions",
        .type = OPTION_NUMBER,
        GATEWAY(max_sanctions),
        .min = 1,
        .max = 100000,
        .initial = "10000",
        .help = "Bans and mutes that can be kept, and as many rooms in slow mode. Past that a new "
                "one is refused.",
    },
    {
        .key = "max_stream_bytes",
        .type = OPTION_SIZE,
        GATEWAY(max_stream_bytes),
        .min = KIB(64),
        .max = GIB(1024),
        .initial = "256MiB",
        .help = "Bytes of all streams together.",
    },
};

#define ROOM_SWITCH(name_, initial_, help_)                                                        \
    {                                                                                              \
        .key = #name_, .type = OPTION_BOOL, ROOM(name_), .initial = initial_, .help = help_,       \
    }

static const struct option ROOM_OPTIONS[] = {
    ROOM_SWITCH(allow_history_for_anonymous, "off",
                "What is granted by the two below is granted to the user without a name too."),
    ROOM_SWITCH(allow_history_for_client, "on", "Any client may read the history of a room."),
    ROOM_SWITCH(allow_history_for_subscriber, "on", "Subscribers may read the history of a room."),
    ROOM_SWITCH(allow_positioning, "on", "A client may ask to be told about its position."),
    ROOM_SWITCH(allow_presence_for_anonymous, "off",
                "What is granted by the two below is granted to the user without a name too."),
    ROOM_SWITCH(allow_presence_for_client, "on", "Any client may ask who is in a room."),
    ROOM_SWITCH(allow_presence_for_subscriber, "on", "Subscribers may ask who is in a room."),
    ROOM_SWITCH(allow_publish_for_anonymous, "off",
                "What is granted by the two below is granted to the user without a name too."),
    ROOM_SWITCH(allow_publish_for_client, "on", "Any client may publish into a room."),
    ROOM_SWITCH(allow_publish_for_subscriber, "on", "Subscribers may publish into a room."),
    ROOM_SWITCH(allow_recovery, "on", "A client may ask for what it missed."),
    ROOM_SWITCH(allow_subscribe_for_anonymous, "off",
                "What is granted by the one below is granted to the user without a name too."),
    ROOM_SWITCH(allow_subscribe_for_client, "on", "Any client may subscribe to a room."),
    ROOM_SWITCH(allow_user_limited_channels, "off",
                "A room with # in its name is for the users that stand behind the last #, "
                "separated by commas; they need no token for it, and nobody else gets in without."),
    {
        .key = "allowed_delta_types",
        .type = OPTION_CHOICE,
        ROOM(allowed_delta_types),
        .choices = DELTA_WORDS,
        .initial = "none",
        .help = "Whether subscribers may take publications as what changed since the one before.",
    },
    ROOM_SWITCH(auto_cache_recover, "off",
                "With force_recovery_mode cache: every subscriber gets the newest publication."),
    ROOM_SWITCH(delta_publish, "off",
                "What clients publish may be sent as deltas, to those who take them."),
    ROOM_SWITCH(force_positioning, "off", "Every subscription is positioned, asked for or not."),
    ROOM_SWITCH(force_push_join_leave, "off",
                "Who comes and goes is announced to every subscriber, asked for or not."),
    ROOM_SWITCH(force_recovery, "on",
                "Every subscription recovers what it missed, asked for or "
                "not."),
    {
        .key = "force_recovery_mode",
        .type = OPTION_CHOICE,
        ROOM(force_recovery_mode),
        .choices = RECOVERY_WORDS,
        .initial = "stream",
        .help =
            "What one gets who comes back: all that was missed, or only the newest publication.",
    },
    {
        .key = "history_bytes",
        .type = OPTION_SIZE,
        ROOM(history_bytes),
        .max = GIB(1),
        .initial = "1MiB",
        .help = "Bytes kept in the stream of a room; the oldest publications go first. 0: no "
                "stream.",
    },
    {
        .key = "history_size",
        .type = OPTION_NUMBER,
        ROOM(history_size),
        .max = 1000000,
        .initial = "1000",
        .help = "Publications kept in the stream of a room. 0: no stream.",
    },
    {
        .key = "history_ttl",
        .type = OPTION_DURATION,
        ROOM(history_ttl_ms),
        .max = HOURS(8760),
        .initial = "24h",
        .help = "How long after its last publication a stream is kept. 0: for good.",
    },
    {
        .key = "idempotency_field",
        .type = OPTION_NAME,
        ROOM(idempotency_field),
        .check = is_member_name,
        .allowed = "letters, digits and _ - . up to 63 bytes, or nothing",
        .initial = "cid",
        .help = "The member of a publication's data, a string, that makes a repeated publish "
                "harmless. Empty: none.",
    },
    ROOM_SWITCH(join_leave, "on", "Who comes and goes is announced to subscribers who ask for it."),
    ROOM_SWITCH(presence, "on", "The gateway keeps who is in a room."),
    ROOM_SWITCH(stamp_time, "on",
                "Publications carry the server's time in tags.t, in milliseconds "
                "since 1970."),
};

const struct option_section option_sections[SECTION_COUNT] = {
    [SECTION_GATEWAY] =
        {
            .name = "gateway",
            .help = "The process: where it listens and what it is made of.",
            .list = gateway_options,
            .count = GATEWAY_OPTION_COUNT,
        },
    [SECTION_CLIENT] =
        {
            .name = "client",
            .reload = RELOAD_LIVE,
            .help = "Limits and times of each session.",
            .list = CLIENT_OPTIONS,
            .count = COUNT_OF(CLIENT_OPTIONS),
        },
    [SECTION_LIMITS] =
        {
            .name = "limits",
            .reload = RELOAD_LIVE,
            .prefixed = true,
            .help = "Rates: what may be done per time. Too much is answered with error 111, which "
                    "is temporary; who keeps on is closed with code 3013. Nothing of this with "
                    "auth insecure, nor for the server API.",
            .list = limits_options,
            .count = LIMITS_OPTION_COUNT,
        },
    [SECTION_JWT] =
        {
            .name = "jwt",
            .reload = RELOAD_LIVE,
            .prefixed = true,
            .help = "Tokens (auth jwt): the keys they are signed with, and what they must say. "
                    "Tokens for subscriptions are checked with the same keys, unless keys of their "
                    "own are named.",
            .list = jwt_options,
            .count = JWT_OPTION_COUNT,
        },
    [SECTION_HUB] =
        {
            .name = "hub",
            .prefixed = true,
            .help = "Limits of each hub, one event loop thread with its sessions.",
            .list = HUB_OPTIONS,
            .count = COUNT_OF(HUB_OPTIONS),
        },
    [SECTION_API] =
        {
            .name = "api",
            .reload = RELOAD_LIVE,
            .prefixed = true,
            .help = "The server API, by which applications publish and moderate.",
            .list = api_options,
            .count = API_OPTION_COUNT,
        },
    [SECTION_BACKPLANE] =
        {
            .name = "backplane",
            .help =
                "Limits of what is kept for all rooms together. With backplane redis streams are "
                "kept by the server, and max_stream_bytes means nothing.",
            .list = BACKPLANE_OPTIONS,
            .count = COUNT_OF(BACKPLANE_OPTIONS),
        },
    [SECTION_LOCAL] =
        {
            .name = "local",
            .prefixed = true,
            .help = "The file in which rooms are kept (backplane local, and store is not none).",
            .list = local_options,
            .count = LOCAL_OPTION_COUNT,
        },
    [SECTION_TLS] =
        {
            .name = "tls",
            .prefixed = true,
            .reload = RELOAD_LIVE,
            .help = "TLS, for https and wss. Both options or none; turning it on or off takes a "
                    "restart, other files for it do not.",
            .list = tls_options,
            .count = TLS_OPTION_COUNT,
        },
    [SECTION_WORKER] =
        {
            .name = "worker",
            .prefixed = true,
            .help = "Doing jobs of the queue: by `madang worker`, and by `madang serve` itself.",
            .list = worker_options,
            .count = WORKER_OPTION_COUNT,
        },
    [SECTION_WEBHOOK] =
        {
            .name = "webhook",
            .prefixed = true,
            .help = "Jobs of the queue _webhook: calls over HTTP.",
            .list = webhook_options,
            .count = WEBHOOK_OPTION_COUNT,
        },
    [SECTION_NOTIFY] =
        {
            .name = "notify",
            .prefixed = true,
            .help = "Telling an application who is away and has not read (QUEUE.md).",
            .list = notify_options,
            .count = NOTIFY_OPTION_COUNT,
        },
    [SECTION_JOBS] =
        {
            .name = "jobs",
            .reload = RELOAD_LIVE,
            .prefixed = true,
            .help =
                "What clients may have done later, by the rpc methods jobs.… (QUEUE.md). With auth "
                "jwt kinds is empty until set.",
            .list = jobs_options,
            .count = JOBS_OPTION_COUNT,
        },
    [SECTION_REDIS] =
        {
            .name = "redis",
            .prefixed = true,
            .help = "The Redis server that connects gateways (backplane redis): 7.0 or newer, a "
                    "master, no cluster.",
            .list = redis_options,
            .count = REDIS_OPTION_COUNT,
        },
    [SECTION_QUEUE] =
        {
            .name = "queue",
            .reload = RELOAD_LIVE,
            .prefixed = true,
            .help = "Queues of jobs, see QUEUE.md. [queue] is for queues that have no section of "
                    "their own; [queue NAME] is for the queue NAME, begins with the defaults and "
                    "inherits nothing from [queue].",
            .list = queue_options,
            .count = QUEUE_OPTION_COUNT,
        },
    [SECTION_ROOMS] =
        {
            .name = "rooms",
            .reload = RELOAD_LIVE,
            .prefixed = true,
            .help =
                "What may be done in a room. [rooms] is for rooms whose name has no ':'; "
                "[rooms NAME] creates the namespace NAME, whose rooms are called NAME:…. A "
                "namespace begins with the defaults and inherits nothing from [rooms]. With auth "
                "jwt every switch is off, history_size 0 and idempotency_field empty until set.",
            .list = ROOM_OPTIONS,
            .count = COUNT_OF(ROOM_OPTIONS),
        },
    [SECTION_SERVERS] =
        {
            .name = "redis",
            .help = "One of several Redis servers, which share the rooms among them, by its name "
                    "(at most 16). Only in the file. See BACKPLANE.md before you change which "
                    "there are.",
            .list = server_options,
            .count = SERVER_OPTION_COUNT,
        },
    [SECTION_QUEUES] =
        {
            .name = "queue",
            .reload = RELOAD_LIVE,
            .help = "The rules of one queue, by its name. Only in the file.",
            .list = named_queue_options,
            .count = NAMED_QUEUE_OPTION_COUNT,
        },
    [SECTION_CRON] =
        {
            .name = "cron",
            .reload = RELOAD_LIVE,
            .help = "A job that is put at the times of a schedule, once however many gateways "
                    "there are, by its name. Only in the file. See QUEUE.md.",
            .list = cron_options,
            .count = CRON_OPTION_COUNT,
        },
};
