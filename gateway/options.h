/* SPDX-License-Identifier: MIT */
/* options.h: everything an operator can set, in one table.
 *
 * The table (options.c) stands behind the command line, the environment
 * (MADANG_…), the INI file, `--help`, `madang check` and docs/OPTIONS.md.
 * Later sources win: built-in default < file < environment < command line.
 * Defaults of rooms depend on `auth` (guest and insecure: chat-friendly; jwt:
 * everything off), and are filled in before the file's room sections apply.
 * Read-only once loaded. Reading them again makes new ones: see options_reload().
 */
#ifndef MADANG_GATEWAY_OPTIONS_H
#define MADANG_GATEWAY_OPTIONS_H

#include "backplane/base/buf.h"
#include "backplane/queue/queue.h"
#include "backplane/rate.h"
#include "gateway/schedule.h"
#include "rooms/rules.h"

#include <stdbool.h>
#include <stdint.h>

enum api_error_mode { API_ERRORS_BODY, API_ERRORS_TRANSPORT };
enum auth_mode { AUTH_GUEST, AUTH_INSECURE, AUTH_JWT };
enum backplane_kind { BACKPLANE_LOCAL, BACKPLANE_REDIS };

#define SERVER_NAME_MAX 33

/* Where one Redis server is: [redis NAME], or in [redis] the only one. */
struct redis_place {
    char name[SERVER_NAME_MAX]; /* "": the one in [redis] */
    char *url, *url_file;       /* a secret */
    char **sentinels;           /* for redis_address_parse() */
    size_t sentinels_count;
    char *master; /* its name there */
    char *sentinel_user, *sentinel_password, *sentinel_password_file;
};

/* [queue NAME] */
struct named_queue {
    char name[QUEUE_NAME_MAX + 1];
    struct queue_rules rules;
};

enum cron_zone { ZONE_UTC, ZONE_LOCAL };

/* [cron NAME]; see cron.h. */
struct cron_entry {
    char name[QUEUE_NAME_MAX + 1];
    char *schedule, *queue, *kind, *data;
    uint32_t priority;
    enum cron_zone zone;
    uint64_t catch_up_ms;
    struct schedule when; /* the schedule, once all sources have spoken */
};

/* How Redis servers are spoken to; see backplane.h. */
struct redis_source {
    struct redis_place only;    /* used if there is no list */
    struct redis_place *places; /* [redis NAME], in the order of the file */
    size_t place_count;
    char *prefix;
    char *tls_ca_file, *tls_cert_file, *tls_key_file, *tls_server_name; /* "": not given */
    bool tls_insecure, appendfsync_always, required;
    uint64_t connect_timeout_ms, command_timeout_ms;
    uint64_t remember_ms;
    uint32_t commands;
    uint64_t out_bytes;
};

/* Where the keys of one kind of tokens come from; see keys.h. */
struct key_sources {
    char *hmac_secret, *hmac_secret_file;
    char *hmac_previous_secret, *hmac_previous_secret_file;
    char **public_key_files;
    size_t public_key_files_count;
    char *jwks; /* path or URL of a JWK set */
};

enum store_durability { DURABILITY_FULL, DURABILITY_PROCESS };

struct options {
    /* [gateway] */
    char **listen; /* for endpoint_parse(); default 127.0.0.1:8000 and [::1]:8000 */
    size_t listen_count;
    char **internal_listen; /* the same; where API and metrics are served, if anywhere apart */
    size_t internal_listen_count;
    enum auth_mode auth;
    enum backplane_kind backplane;
    char *store;   /* path of a file, or "none" */
    uint32_t hubs; /* 0: one per core, at most 8 */
    uint32_t max_connections;
    uint32_t max_connections_per_address; /* 0: any number */
    char **trusted_proxies;               /* for networks_new() */
    size_t trusted_proxies_count;
    char **public_names; /* host names under which browsers may reach us */
    size_t public_names_count;
    char **allowed_origins; /* origins admitted beside our own host */
    size_t allowed_origins_count;
    int log_level; /* enum log_level */
    uint64_t shutdown_timeout_ms;
    uint64_t drain_delay_ms;

    /* [local] */
    int durability; /* enum store_durability */
    uint64_t remember_ms;

    /* [client] */
    uint64_t ping_interval_ms;
    uint64_t pong_timeout_ms;
    uint64_t stale_close_delay_ms; /* connection that never says connect */
    uint32_t command_size;         /* bytes of one command */
    uint32_t frame_size;           /* bytes of one frame */
    uint32_t channel_limit;        /* subscriptions of a session */
    uint32_t channel_max_length;
    uint32_t history_limit;              /* publications of one history reply */
    uint32_t history_bytes;              /* bytes of one history or recovery reply */
    uint32_t presence_bytes;             /* bytes of one presence reply */
    uint32_t queue_bytes;                /* bytes a session may have waiting */
    uint64_t queue_ms;                   /* how long they may wait */
    uint32_t credits;                    /* requests in flight of a session */
    uint32_t handshakes;                 /* unfinished handshakes at a time */
    uint64_t expired_close_delay_ms;     /* from the end of a connection's token to its close */
    uint64_t expired_sub_close_delay_ms; /* the same for a subscription's */
    uint32_t user_connection_limit;      /* connections of one user; 0: any number */
    bool single_connection;              /* a new connection of a user ends the older ones */
    bool allow_anonymous_connect_without_token;
    bool disallow_anonymous_connection_tokens;
    bool personal_room; /* put each user into the room `#` + user id … */
    char personal_room_namespace[NAMESPACE_NAME_MAX]; /* … of this namespace */

    /* [limits] */
    uint32_t rates[SCOPES][RATES];  /* per second, jobs per hour; 0: no limit */
    uint64_t burst_ms;              /* for so long at once */
    uint32_t address_subscriptions; /* of all sessions from one address; 0: any number */
    uint32_t user_follows;          /* rooms that one user may follow */
    uint32_t room_followers;        /* users that may follow one room */
    uint32_t refusals;              /* in that time, before a session is closed */

    /* [jwt] */
    struct key_sources jwt, subscription_jwt;
    char *jwt_audience, *jwt_issuer, *jwt_user_claim;
    uint64_t jwks_refresh_ms;  /* how often a JWK set is read again */
    uint64_t jwks_cooldown_ms; /* the least time between two readings for an unknown key */

    /* [hub] */
    uint64_t hub_queue_bytes; /* bytes all sessions of a hub may have waiting */
    uint64_t hub_inbox_bytes; /* pushes waiting for a hub before it is left behind */
    uint32_t hub_credits;     /* requests in flight of a hub */

    /* [api] */
    char *api_key;           /* "": none */
    char *api_key_file;      /* "": none */
    uint32_t api_body_size;  /* bytes of the body of one call */
    uint32_t api_calls;      /* calls at a time on a hub */
    uint64_t api_bytes;      /* bytes of their bodies */
    uint64_t api_timeout_ms; /* how long a body may take to come, and its answer to leave */
    enum api_error_mode api_error_mode;

    /* [queue] and [queue NAME] */
    struct queue_rules queue;         /* of those that have no section */
    struct named_queue *named_queues; /* in the order of the file */
    size_t named_queue_count;
    uint32_t queue_waits; /* takes that wait, of one hub */

    /* [cron NAME] */
    struct cron_entry *cron; /* in the order of the file */
    size_t cron_count;

    /* [tls] */
    char *tls_cert, *tls_key; /* files; both "": no TLS */

    /* [worker] */
    bool worker_enabled;
    char **worker_exec; /* words of a program; none: nothing is run */
    size_t worker_exec_count;
    char **worker_exec_environment;
    size_t worker_exec_environment_count;
    uint32_t worker_exec_places;
    char **worker_exec_queues;
    size_t worker_exec_queues_count;
    uint64_t worker_exec_timeout_ms;
    uint64_t worker_grace_ms;
    uint64_t worker_lease_ms;
    char *worker_name; /* "": made from host and process */
    uint32_t worker_publish_places;
    char *worker_url; /* "": the socket beside the store */

    /* [webhook] */
    char **webhook_networks; /* for reach_new() */
    size_t webhook_networks_count;
    char *webhook_ca_file;
    uint32_t webhook_per_host, webhook_places;
    char *webhook_secret, *webhook_secret_file;
    uint64_t webhook_timeout_ms;

    /* [notify] */
    char *notify_url; /* "": nobody is told */
    uint64_t notify_delay_ms, notify_timeout_ms;
    uint32_t notify_places;
    char *notify_secret, *notify_secret_file; /* both "": those of [webhook] */

    /* [jobs] */
    char **jobs_kinds;
    size_t jobs_kinds_count;
    uint64_t jobs_max_delay_ms;
    uint32_t jobs_per_user;

    /* [backplane] */
    uint32_t max_sanctions;    /* bans and mutes; as many slow rooms */
    uint32_t max_rooms;        /* rooms remembered; idle ones are forgotten first */
    uint64_t max_stream_bytes; /* bytes of all streams */

    /* [redis] */
    struct redis_source redis;

    /* [rooms] and [rooms NAME] */
    struct rules rules;

    struct options_origins *origins; /* private: where each value came from */
};

/* All defaults, as if nothing had been said. NULL: out of memory. */
struct options *options_new(void);
void options_free(struct options *o);

/* Defaults, then the file named by --config or MADANG_CONFIG, then the environment (a NULL-ended
 * list of NAME=value, or NULL), then the command line (argc words, without program and verb).
 * True: *out is the caller's to free. False: `report` has a line for each thing that is wrong,
 * where it is, and what is allowed; *out is untouched. */
bool options_load(struct options **out, int argc, char **argv, char **env, struct buf *report)
    __attribute__((warn_unused_result));

/* The words, environment and file of options_load(). */
struct options_sources {
    int argc;
    char **argv, **env;
};

/* Reads all sources again while `now` is in force. *out is what is to be in force from now on: as
 * read, but options that take effect after a restart only stay as they are. `changes` gets a line
 * for each option that differs from `now`, without values of secrets. False: as options_load(); the
 * new configuration must be right by itself, and together with what stays. */
bool options_reload(struct options **out, const struct options *now,
                    const struct options_sources *from, struct buf *report, struct buf *changes)
    __attribute__((warn_unused_result));

/* As options_load(), from the defaults and the text of a file alone; `name` stands in the
 * report. */
bool options_load_text(struct options **out, const char *name, struct span text, struct buf *report)
    __attribute__((warn_unused_result));

/* Appends the configuration in effect as the text of a file, each value with its source behind it
 * as a comment. Loading that text gives the same configuration, but for secrets: of these it only
 * says that they are set. */
void options_print(const struct options *o, struct buf *text);

/* How many hubs there are to be: as said, or one per core, up to a limit. */
uint32_t options_hubs(const struct options *o);

/* True if rooms are kept in a file. */
bool options_have_store(const struct options *o);

/* True if there are queues. */
bool options_have_queues(const struct options *o);

/* What holds for a queue. */
const struct queue_rules *options_queue_rules(const struct options *o, struct span name);

/* True if any address to listen on can be reached from outside of this machine. */
bool options_listens_beyond_loopback(const struct options *o);

#endif
