/* SPDX-License-Identifier: MIT */
#include "backplane/redis/server.h"

#include "backplane/base/loop.h"
#include "backplane/redis/channels.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* The probe: a number that is published and must come back. */
struct probe {
    struct redis_channel *channel;
    struct redis_call call;
    uint64_t number;
    uint32_t era;  /* of the channels when it was published */
    bool busy;     /* the call is under way */
    bool awaited;  /* published, not come back yet */
    bool stalled;  /* at the last tick, something was awaited */
    bool doubt;    /* nothing came since, and this is looked at once more */
    uint64_t seen; /* bytes that the subscription link had read at the last tick */
};

struct redis_server {
    struct loop *loop;
    struct redis_server_options options;
    const struct redis_server_events *events;
    void *owner;
    struct redis_link *commands, *subscriber;
    struct redis_sentinel *sentinel; /* or NULL */
    struct redis_channels channels;
    struct probe probe;
    struct timer tick;
    uv_prepare_t prepare;
    uint64_t probes_lost;
    bool closed;
};

void redis_server_defaults(struct redis_server_options *o)
{
    *o = (struct redis_server_options){.probe_ms = 3000, .batch = 256};
    redis_link_defaults(&o->link);
}

static uint64_t bytes_heard(const struct redis_server *s)
{
    struct redis_link_load load;

    redis_link_load(s->subscriber, &load);
    return load.bytes_in;
}

/* Nobody got it: the subscription is not on the server that the commands go to. Denied: then the
 * publications of rooms would be denied as well. */
static void on_published(struct redis_call *call)
{
    struct redis_server *s = container_of(call, struct redis_server, probe.call);
    struct probe *p = &s->probe;

    p->busy = false;
    if (s->closed || call->outcome != CALL_ANSWERED || p->era != s->channels.era) {
        p->awaited = false;
    } else if (redis_reply_is_error(call->reply, "NOPERM")) {
        p->awaited = false;
        redis_link_cut(s->commands, FAULT_REFUSED, call->reply->text.p);
    } else if (call->reply->type == REPLY_INTEGER && call->reply->integer == 0) {
        s->probes_lost++;
        redis_link_cut(s->subscriber, FAULT_AWAY,
                       "subscriptions and commands go to different servers");
    }
}

static void send_probe(struct redis_server *s)
{
    struct probe *p = &s->probe;
    char number[U64_TEXT_MAX];

    if (p->busy || p->awaited || !redis_link_is_up(s->commands) || !p->channel ||
        !redis_channels_is_on(&s->channels, p->channel))
        return;
    p->number++;
    p->era = s->channels.era;
    p->busy = p->awaited = true;
    p->call.done = on_published;
    struct span words[] = {
        SPAN("PUBLISH"), span_str(s->options.probe_channel), {number, u64_text(number, p->number)}};
    redis_link_call(s->commands, &p->call, words, 3);
}

static void on_probe_back(struct redis_server *s, struct span payload)
{
    char number[U64_TEXT_MAX];
    struct span expected = {number, u64_text(number, s->probe.number)};

    if (span_eq(payload, expected))
        s->probe.awaited = false;
}

/* Once per probe_ms. What was awaited at the tick before and still is, while not a byte came in
 * between, will not come. (A link that is only slow still brings bytes.)
 * Before it is cut the sockets are read once more: it may be we who were away. */
static void on_tick(struct timer *t)
{
    struct redis_server *s = container_of(t, struct redis_server, tick);
    struct probe *p = &s->probe;
    bool awaited = (p->awaited && !p->busy) || s->channels.in_flight > 0;
    bool silent = awaited && p->stalled && bytes_heard(s) == p->seen;

    loop_arm(s->loop, &s->tick, silent && !p->doubt ? 1 : s->options.probe_ms, on_tick);
    if (silent && !p->doubt) {
        p->doubt = true;
        return;
    }
    p->doubt = false;
    if (silent && redis_link_is_up(s->subscriber)) {
        char why[96];
        s->probes_lost++;
        (void)snprintf(why, sizeof(why), "the subscription connection has been silent for %u ms",
                       s->options.probe_ms);
        redis_link_cut(s->subscriber, FAULT_AWAY, why);
    }
    send_probe(s);
    p->stalled = p->awaited || s->channels.in_flight > 0;
    p->seen = bytes_heard(s);
}

/* Both links must lead to the same run of the server; if they do not, the older one is stale. */
static void check_run(struct redis_server *s, struct redis_link *older)
{
    const char *a = redis_link_facts(s->commands)->run_id;
    const char *b = redis_link_facts(s->subscriber)->run_id;

    if (redis_link_is_up(older) && a[0] && b[0] && strcmp(a, b) != 0)
        redis_link_cut(older, FAULT_AWAY, "the newer connection leads to another server");
}

static void on_commands_up(struct redis_link *l, void *owner)
{
    struct redis_server *s = owner;

    (void)l;
    check_run(s, s->subscriber);
    s->events->up(s, s->owner);
    if (!s->closed)
        send_probe(s);
}

static void on_commands_down(struct redis_link *l, void *owner, enum redis_fault fault, bool was_up,
                             const char *why)
{
    struct redis_server *s = owner;

    (void)l;
    s->events->down(s, s->owner, fault, was_up, why);
}

static void on_subscriber_up(struct redis_link *l, void *owner)
{
    struct redis_server *s = owner;

    (void)l;
    check_run(s, s->commands);
}

static void on_subscriber_down(struct redis_link *l, void *owner, enum redis_fault fault,
                               bool was_up, const char *why)
{
    struct redis_server *s = owner;

    (void)l;
    if (was_up)
        redis_channels_lost(&s->channels);
    s->probe.awaited = s->probe.stalled = s->probe.doubt = false;
    s->events->deaf(s, s->owner, fault, was_up, why);
}

static void on_found(void *owner, const char *host, uint16_t port)
{
    static const char why[] = "the Sentinels name another master";
    struct redis_server *s = owner;

    redis_link_cut(s->commands, FAULT_AWAY, why);
    redis_link_cut(s->subscriber, FAULT_AWAY, why);
    redis_server_retarget(s, host, port);
}

static void on_helpless(void *owner, enum redis_fault fault, const char *why)
{
    (void)owner, (void)fault, (void)why; /* the links tell that there is no master */
}

static bool open_sentinel(struct redis_server *s)
{
    static const struct redis_sentinel_events events = {on_found, on_helpless};

    if (!s->options.sentinels.count)
        return true;
    s->sentinel = redis_sentinel_open(s->loop, &s->options.sentinels, &events, s);
    return s->sentinel != NULL;
}

static void tell_subscribed(struct redis_server *s, struct redis_channel *c)
{
    if (c == s->probe.channel)
        send_probe(s);
    else
        s->events->subscribed(s, s->owner, c->user);
}

static void on_message(struct redis_server *s, struct span name, struct span payload)
{
    struct redis_channel *c = redis_channels_find(&s->channels, name);

    if (c && c == s->probe.channel)
        on_probe_back(s, payload);
    else if (c)
        s->events->message(s, s->owner, c->user, payload);
}

static void on_push(struct redis_link *l, void *owner, const struct redis_reply *push)
{
    struct redis_server *s = owner;
    struct span kind = redis_reply_text(redis_reply_item(push, 0));
    struct span name = redis_reply_text(redis_reply_item(push, 1));
    bool join = span_eq(kind, SPAN("subscribe"));

    (void)l;
    if (span_eq(kind, SPAN("message"))) {
        on_message(s, name, redis_reply_text(redis_reply_item(push, 2)));
    } else if (join || span_eq(kind, SPAN("unsubscribe"))) {
        struct redis_channel *c = redis_channels_confirm(&s->channels, name, join);
        if (c)
            tell_subscribed(s, c);
    }
}

/* After the turn: what became wanted or unwanted in it is told to the server in one command. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct redis_server *s = container_of(prepare, struct redis_server, prepare);
    bool again = redis_channels_pump(&s->channels, s->subscriber);

    for (size_t i = 0; !s->closed && i < s->channels.batch; i++) {
        struct redis_channel *c = redis_channels_notice(&s->channels);
        if (!c)
            break;
        tell_subscribed(s, c);
        again = true;
    }
    if (again)
        loop_again(s->loop);
}

static const struct redis_link_events command_events = {
    .up = on_commands_up,
    .down = on_commands_down,
};

static const struct redis_link_events subscriber_events = {
    .up = on_subscriber_up,
    .down = on_subscriber_down,
    .push = on_push,
};

static void on_closed(uv_handle_t *handle)
{
    free(container_of((uv_prepare_t *)handle, struct redis_server, prepare));
}

struct redis_server *redis_server_open(struct loop *loop, const struct redis_server_options *o,
                                       const struct redis_server_events *events, void *owner)
{
    struct redis_server *s = calloc(1, sizeof(*s));
    struct redis_link_options commands = o->link, subscriber;

    if (!s)
        return NULL;
    if (o->sentinels.count)
        commands.url.host[0] = '\0';
    subscriber = commands;
    s->loop = loop;
    s->options = *o;
    s->events = events;
    s->owner = owner;
    subscriber.subscriber = true;
    if (!redis_channels_init(&s->channels, o->batch))
        goto no_channels;
    s->probe.channel = redis_channels_want(&s->channels, span_str(o->probe_channel), NULL);
    s->commands = redis_link_open(loop, &commands, &command_events, s);
    s->subscriber = redis_link_open(loop, &subscriber, &subscriber_events, s);
    if (!s->probe.channel || !s->commands || !s->subscriber || !open_sentinel(s))
        goto no_links;
    (void)uv_prepare_init(&loop->uv, &s->prepare);   /* cannot fail */
    (void)uv_prepare_start(&s->prepare, on_prepare); /* nor this */
    loop_arm(loop, &s->tick, o->probe_ms, on_tick);
    return s;

no_links:
    redis_link_close(s->commands);
    redis_link_close(s->subscriber);
no_channels:
    redis_channels_deinit(&s->channels);
    free(s);
    return NULL;
}

void redis_server_close(struct redis_server *s)
{
    if (!s || s->closed)
        return;
    s->closed = true;
    loop_cancel(s->loop, &s->tick);
    redis_sentinel_close(s->sentinel);
    redis_link_close(s->commands);
    redis_link_close(s->subscriber);
    redis_channels_deinit(&s->channels);
    uv_close((uv_handle_t *)&s->prepare, on_closed);
}

enum redis_server_state redis_server_state(const struct redis_server *s)
{
    if (redis_link_is_up(s->commands))
        return SERVER_UP;
    return redis_link_is_connecting(s->commands) ? SERVER_CONNECTING : SERVER_DOWN;
}

bool redis_server_hears(const struct redis_server *s)
{
    return redis_link_is_up(s->subscriber);
}

struct redis_link *redis_server_commands(struct redis_server *s)
{
    return s->commands;
}

struct redis_link *redis_server_subscriber(struct redis_server *s)
{
    return s->subscriber;
}

void redis_server_retarget(struct redis_server *s, const char *host, uint16_t port)
{
    redis_link_retarget(s->commands, host, port);
    redis_link_retarget(s->subscriber, host, port);
}

struct redis_channel *redis_server_subscribe(struct redis_server *s, struct span name, void *user)
{
    return redis_channels_want(&s->channels, name, user);
}

void redis_server_drop(struct redis_server *s, struct redis_channel *c)
{
    redis_channels_drop(&s->channels, c);
}

bool redis_server_confirmed(const struct redis_server *s, const struct redis_channel *c)
{
    return redis_channels_is_on(&s->channels, c);
}

void redis_server_load(const struct redis_server *s, struct redis_server_load *out)
{
    *out = (struct redis_server_load){
        .channels = s->channels.wanted,
        .unconfirmed = s->channels.wanted - s->channels.confirmed,
        .probes_lost = s->probes_lost,
        .subscribe_commands = s->channels.commands,
    };
}
