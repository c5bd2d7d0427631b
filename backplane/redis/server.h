/* SPDX-License-Identifier: MIT */
/* server.h: one named Redis server as a gateway sees it: a link for commands, a link for
 * subscriptions, and the set of channels that are listened to.
 *
 *     DOWN        the command link is not up: it waits before the next attempt
 *     CONNECTING  it is being made
 *     UP          commands work; subscriptions may still be on their way (redis_server_hears)
 *
 * The two links are lost and come back one by one, so that a lost subscription connection fails no
 * command. What was published while a channel was not subscribed is lost, and so is what was on its
 * way on a connection that broke; this is told per channel: `subscribed` means that everything
 * published from now on arrives as `message`, and that anything before may be missing. Read the
 * stream then.
 *
 * Liveness: every probe_ms, and when either link has come up, a message is published on the
 * command link to a channel of this gateway alone. If it does not come back on the subscription
 * link within probe_ms, that link is cut: it may be half open, or lead to a demoted server.
 * The two links must also lead to the same run of the server (run_id).
 *
 * After a reconnect channels are subscribed again in batches of batch channels, the next one when
 * the one before is confirmed; memory and time per turn do not grow with the number of channels.
 * A channel that is dropped and wanted again before the server was told costs nothing.
 *
 * A server and its channels belong to the thread of its loop. It logs nothing.
 */
#ifndef MADANG_BACKPLANE_REDIS_SERVER_H
#define MADANG_BACKPLANE_REDIS_SERVER_H

#include "backplane/redis/sentinel.h"

struct redis_server;
struct redis_channel; /* a channel that is listened to */

enum redis_server_state { SERVER_DOWN, SERVER_CONNECTING, SERVER_UP };

struct redis_server_options {
    /* For both links; `subscriber` and `expect` apply as they are set for the command link. */
    struct redis_link_options link;
    const char *probe_channel; /* borrowed; no other gateway may use it */
    uint32_t probe_ms;
    uint32_t batch;
    /* With Sentinels the host and port of the URL do not count: the master that they name is
     * followed, and a server that is it no longer is left. */
    struct redis_sentinel_options sentinels;
};

/* Defaults for everything but url, tls, client_name and probe_channel. */
void redis_server_defaults(struct redis_server_options *o);

struct redis_server_events {
    /* The command link is up: calls made in here are the first that the server gets. */
    void (*up)(struct redis_server *s, void *owner);
    /* The command link failed to come up, or was lost (then was_up: once per `up`). Its calls have
     * ended. */
    void (*down)(struct redis_server *s, void *owner, enum redis_fault fault, bool was_up,
                 const char *why);
    /* The subscription link was lost (then was_up: no channel is subscribed any more) or failed to
     * come up. `subscribed` follows for each channel when it is back. */
    void (*deaf)(struct redis_server *s, void *owner, enum redis_fault fault, bool was_up,
                 const char *why);
    /* The server has confirmed it; also again after each `deaf`, and after a channel was dropped
     * and wanted again. */
    void (*subscribed)(struct redis_server *s, void *owner, void *user);
    /* `payload` is valid in the event. The channel may be dropped in it. */
    void (*message)(struct redis_server *s, void *owner, void *user, struct span payload);
};

/* The options are copied but for what they borrow. NULL: no memory. */
struct redis_server *redis_server_open(struct loop *loop, const struct redis_server_options *o,
                                       const struct redis_server_events *events, void *owner);
/* As redis_link_close. Channels that were not dropped are dropped. NULL is fine. */
void redis_server_close(struct redis_server *s);

enum redis_server_state redis_server_state(const struct redis_server *s);
bool redis_server_hears(const struct redis_server *s); /* the subscription link is up */
/* For commands: redis_link_call, redis_link_eval, redis_link_facts, redis_link_cut. */
struct redis_link *redis_server_commands(struct redis_server *s);
struct redis_link *redis_server_subscriber(struct redis_server *s);
void redis_server_retarget(struct redis_server *s, const char *host, uint16_t port);

/* Listens to a channel; `user` comes back in the events. One at a time per name (asserted). NULL:
 * no memory. The handle is valid until it is dropped. */
struct redis_channel *redis_server_subscribe(struct redis_server *s, struct span name, void *user);
void redis_server_drop(struct redis_server *s,
                       struct redis_channel *c); /* no events from here on */
bool redis_server_confirmed(const struct redis_server *s, const struct redis_channel *c);

/* For metrics. */
struct redis_server_load {
    size_t channels, unconfirmed; /* the probe's included */
    uint64_t probes_lost;
    uint64_t subscribe_commands; /* SUBSCRIBE and UNSUBSCRIBE sent */
};
void redis_server_load(const struct redis_server *s, struct redis_server_load *out);

#endif
