/* SPDX-License-Identifier: MIT */
#include "backplane/redis/sentinel.h"

#include "backplane/base/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 1000

struct witness {
    struct redis_sentinel *sentinel;
    struct redis_link *link;
    struct redis_call when, where; /* what it is asked for: the epoch of its story, the address */
    int64_t epoch;                 /* that it has just named; -1: none */
    bool busy;                     /* one of the two is under way */
};

struct redis_sentinel {
    struct loop *loop;
    const struct redis_sentinel_options *options;
    const struct redis_sentinel_events *events;
    void *owner;
    struct timer tick;
    struct redis_address master; /* host "": not known yet */
    int64_t epoch;               /* in which it became that */
    bool closed;
    size_t count;
    struct witness witnesses[REDIS_SENTINELS_MAX];
};

bool redis_address_parse(struct redis_address *out, const char *text)
{
    struct redis_url url;
    struct buf whole = {0}, why = {0};
    bool plain = *text && !strpbrk(text, "/@?#% \t");
    buf_fmt(&whole, "redis://%s", text);
    bool well =
        plain && !whole.failed && redis_url_parse(&url, (struct span){whole.p, whole.n}, &why);
    if (well) {
        const char *behind = strrchr(text, ']');
        bool has_port = strchr(behind ? behind : text, ':') != NULL;
        *out = (struct redis_address){.port = has_port ? url.port : SENTINEL_PORT};
        memcpy(out->host, url.host, sizeof(out->host));
    }
    buf_deinit(&whole);
    buf_deinit(&why);
    return well;
}

/* ---- what they say -------------------------------------------------------------------------- */

/* The value of a field in a flat list of names and values. */
static struct span field(const struct redis_reply *r, const char *name)
{
    for (size_t i = 0; r->type == REPLY_ARRAY && i + 1 < r->count; i += 2)
        if (span_eq(redis_reply_text(redis_reply_item(r, i)), span_str(name)))
            return redis_reply_text(redis_reply_item(r, i + 1));
    return (struct span){0};
}

static int64_t number(struct span text)
{
    char digits[24] = {0};
    if (!text.n || text.n >= sizeof(digits))
        return -1;
    memcpy(digits, text.p, text.n);
    return strtoll(digits, NULL, 10);
}

/* A story, which may be an older one, or the one that is known. */
static void believe(struct redis_sentinel *s, int64_t epoch, const struct redis_address *said)
{
    bool known = s->master.host[0] != '\0';
    bool same = s->master.port == said->port && strcmp(s->master.host, said->host) == 0;
    if (known && epoch <= s->epoch)
        return;
    s->epoch = epoch;
    s->master = *said;
    if (!known || !same)
        s->events->found(s->owner, s->master.host, s->master.port);
}

static void tell_helpless(const struct witness *w, enum redis_fault fault, const char *what)
{
    char why[256];
    (void)snprintf(why, sizeof(why), "Sentinel %s: %s", redis_link_target(w->link), what);
    w->sentinel->events->helpless(w->sentinel->owner, fault, why);
}

static void on_epoch(struct redis_call *call)
{
    struct witness *w = container_of(call, struct witness, when);
    struct redis_sentinel *s = w->sentinel;
    w->epoch = -1;
    if (s->closed || call->outcome != CALL_ANSWERED)
        return;
    w->epoch = number(field(call->reply, "config-epoch"));
    if (w->epoch >= 0)
        return;
    char what[160];
    if (redis_reply_is_error(call->reply, "ERR"))
        (void)snprintf(what, sizeof(what), "it knows no master \"%s\"", s->options->master);
    else
        (void)snprintf(what, sizeof(what), "it does not say where the master is");
    tell_helpless(w, FAULT_REFUSED, what);
}

/* {host, port} */
static void on_address(struct redis_call *call)
{
    struct witness *w = container_of(call, struct witness, where);
    w->busy = false;
    if (w->sentinel->closed || call->outcome != CALL_ANSWERED || w->epoch < 0)
        return;
    struct span host = redis_reply_text(redis_reply_item(call->reply, 0));
    int64_t port = number(redis_reply_text(redis_reply_item(call->reply, 1)));
    if (!host.n || host.n > REDIS_HOST_MAX || port < 1 || port > 65535) {
        tell_helpless(w, FAULT_REFUSED, "it does not say where the master is");
        return;
    }
    struct redis_address said = {.port = (uint16_t)port};
    memcpy(said.host, host.p, host.n);
    believe(w->sentinel, w->epoch, &said);
}

/* While a Sentinel carries out a failover, its `SENTINEL MASTER` has the new epoch already, and the
 * old address still. The other command gives the address that belongs to that epoch. It comes
 * second, so that an address is never older than its epoch. */
static void ask(struct witness *w)
{
    struct span name = span_str(w->sentinel->options->master);
    struct span when[] = {SPAN("SENTINEL"), SPAN("MASTER"), name};
    struct span where[] = {SPAN("SENTINEL"), SPAN("GET-MASTER-ADDR-BY-NAME"), name};
    if (w->busy || !redis_link_is_up(w->link))
        return;
    w->busy = true;
    w->when.done = on_epoch;
    w->where.done = on_address;
    redis_link_call(w->link, &w->when, when, 3);
    redis_link_call(w->link, &w->where, where, 3);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void on_up(struct redis_link *l, void *owner)
{
    (void)l;
    ask(owner);
}

static void on_down(struct redis_link *l, void *owner, enum redis_fault fault, bool was_up,
                    const char *why)
{
    (void)l, (void)was_up;
    tell_helpless(owner, fault, why);
}

static void on_tick(struct timer *t)
{
    struct redis_sentinel *s = container_of(t, struct redis_sentinel, tick);
    loop_arm(s->loop, &s->tick, ASK_MS, on_tick);
    for (size_t i = 0; i < s->count && !s->closed; i++)
        ask(&s->witnesses[i]);
}

struct redis_sentinel *redis_sentinel_open(struct loop *loop,
                                           const struct redis_sentinel_options *o,
                                           const struct redis_sentinel_events *events, void *owner)
{
    static const struct redis_link_events link_events = {.up = on_up, .down = on_down};
    struct redis_sentinel *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->loop = loop;
    s->options = o;
    s->events = events;
    s->owner = owner;
    for (size_t i = 0; i < o->count; i++) {
        struct redis_link_options link = o->link;
        link.expect = EXPECT_SENTINEL;
        memcpy(link.url.host, o->list[i].host, sizeof(link.url.host));
        link.url.port = o->list[i].port;
        link.url.database = 0; /* a Sentinel has none */
        s->witnesses[i].sentinel = s;
        s->witnesses[i].link = redis_link_open(loop, &link, &link_events, &s->witnesses[i]);
        if (!s->witnesses[i].link) {
            redis_sentinel_close(s);
            return NULL;
        }
        s->count++;
    }
    loop_arm(loop, &s->tick, ASK_MS, on_tick);
    return s;
}

void redis_sentinel_close(struct redis_sentinel *s)
{
    if (!s)
        return;
    s->closed = true;
    loop_cancel(s->loop, &s->tick);
    for (size_t i = 0; i < s->count; i++)
        redis_link_close(s->witnesses[i].link); /* its calls end inside */
    free(s);
}
