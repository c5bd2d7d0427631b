/* SPDX-License-Identifier: MIT */
#include "gateway/throttle.h"

#include "backplane/base/log.h"
#include "gateway/methods.h"
#include "gateway/socket.h"

#include <stdlib.h>

/* A frame's header counts too, else empty parts of messages would be free. */
#define FRAME_OVERHEAD 6
/* What comes over TCP is more than what is counted: headers of frames, TLS, a late ping. */
#define AUDIT_SLACK 2
#define HOUR_MS     3600000

static uint64_t now_ms(const struct session *s)
{
    return loop_now_ms(s->hub->loop);
}

/* Whom the session counts for in a scope beyond itself. */
static struct party **party_in(const struct session *s, enum scope scope)
{
    return &s->throttle->party[scope - SCOPE_USER];
}

bool throttle_new(struct session *s)
{
    if (s->hub->options->auth == AUTH_INSECURE)
        return true;
    s->throttle = calloc(1, sizeof(*s->throttle));
    return s->throttle != NULL;
}

void throttle_free(struct session *s)
{
    if (!s->throttle)
        return;
    for (int scope = SCOPE_USER; scope < SCOPES; scope++)
        party_release(s->hub, *party_in(s, scope));
    free(s->throttle);
    s->throttle = NULL;
}

struct allowance throttle_allowance(const struct options *o, enum scope scope, enum rate rate)
{
    if (rate == RATE_JOBS)
        return (struct allowance){o->rates[scope][rate], HOUR_MS};
    return (struct allowance){o->rates[scope][rate] * o->burst_ms / 1000, o->burst_ms};
}

static struct allowance own(const struct session *s, enum rate rate)
{
    return throttle_allowance(s->hub->options, SCOPE_SESSION, rate);
}

/* ---- too much ------------------------------------------------------------------------------- */

struct excess {
    enum scope scope;
    enum rate rate;
};

static void count(struct hub *h, struct excess of)
{
    counter_add(&h->counters.refused[of.scope][of.rate], 1);
}

static void close_for(struct session *s, struct excess of)
{
    struct span user = s->client ? client_info_user(s->client) : (struct span){0};
    if (s->closing)
        return;
    struct buf from = {0};
    address_write(&s->address, &from);
    log_warn("hub %u: user \"%.*s\" at %.*s is closed with 3013: too many %s of its %s",
             hub_index(s->hub), (int)user.n, user.n ? user.p : "", (int)from.n,
             from.n ? from.p : "", rate_word(of.rate), scope_word(of.scope));
    buf_deinit(&from);
    session_close(s, CLOSE_TOO_MANY_REQUESTS);
}

/* False: it was once too often, and the session is closed. */
static bool bear(struct session *s, struct excess of)
{
    const struct options *o = s->hub->options;
    struct allowance patience = {o->refusals, o->burst_ms};
    count(s->hub, of);
    bool well = bucket_take(&s->throttle->refused, patience, 1, now_ms(s));
    if (!well)
        close_for(s, of);
    return well;
}

/* ---- who it is ------------------------------------------------------------------------------ */

static bool is_here(const struct address *a)
{
    return address_is_nobody(a) || address_is_loopback(a);
}

static struct span key_of(const struct address *key)
{
    return (struct span){(const char *)key->bytes, sizeof(key->bytes)};
}

void throttle_begin(struct session *s)
{
    if (!s->throttle || is_here(&s->address))
        return;
    struct address key = address_key(&s->address);
    struct party *p = party_hold(s->hub, SCOPE_ADDRESS, key_of(&key));
    *party_in(s, SCOPE_ADDRESS) = p;
    party_did(s->hub, p, RATE_CONNECTS, 1);
}

bool throttle_knows(struct session *s)
{
    struct span user = client_info_user(s->client);
    if (!s->throttle || !user.n)
        return true;
    struct party *p = party_hold(s->hub, SCOPE_USER, user);
    *party_in(s, SCOPE_USER) = p;
    if (party_does(s->hub, p, RATE_CONNECTS, 1))
        return true;
    count(s->hub, (struct excess){SCOPE_USER, RATE_CONNECTS});
    return false;
}

bool throttle_admits_address(struct hub *h, const struct address *a)
{
    struct address key = address_key(a);
    if (h->options->auth == AUTH_INSECURE || is_here(a) ||
        !party_must_wait(h, SCOPE_ADDRESS, key_of(&key), RATE_CONNECTS))
        return true;
    count(h, (struct excess){SCOPE_ADDRESS, RATE_CONNECTS});
    return false;
}

void throttle_enters(struct session *s)
{
    if (s->throttle)
        party_enters(*party_in(s, SCOPE_ADDRESS));
}

void throttle_leaves(struct session *s)
{
    if (s->throttle)
        party_leaves(*party_in(s, SCOPE_ADDRESS));
}

bool throttle_has_place(const struct session *s)
{
    const struct options *o = s->hub->options;
    uint32_t hubs = s->hub->gateway->hub_count;
    uint32_t share = (o->address_subscriptions + hubs - 1) / hubs;
    if (s->sub_count >= o->channel_limit)
        return false;
    return !share || !s->throttle || party_rooms(*party_in(s, SCOPE_ADDRESS)) < share;
}

/* ---- what it does --------------------------------------------------------------------------- */

void throttle_received(struct session *s, size_t n)
{
    if (!s->throttle)
        return;
    struct allowance a = own(s, RATE_BYTES);
    struct bucket *bytes = &s->throttle->done[RATE_BYTES];
    uint64_t now = now_ms(s);
    for (int scope = SCOPE_USER; scope < SCOPES; scope++)
        party_did(s->hub, *party_in(s, scope), RATE_BYTES, n + FRAME_OVERHEAD);
    if (bucket_charge(bytes, a, n + FRAME_OVERHEAD, now) ||
        bucket_wait_ms(bytes, a, 0, now) < a.period_ms * BUCKET_DEBT)
        return;
    struct excess of = {SCOPE_SESSION, RATE_BYTES};
    count(s->hub, of);
    close_for(s, of);
}

void throttle_audit(struct session *s)
{
    const struct options *o = s->hub->options;
    struct allowance a = own(s, RATE_BYTES);
    if (!s->throttle || !a.amount || !s->wsi)
        return;
    uint32_t bytes = (uint32_t)socket_received(s->wsi);
    uint32_t since = bytes - s->throttle->audited; /* right though it wraps */
    uint64_t most = a.amount * (1 + BUCKET_DEBT) +
                    o->rates[SCOPE_SESSION][RATE_BYTES] * o->ping_interval_ms / 1000;
    s->throttle->audited = bytes;
    if (since <= most * AUDIT_SLACK)
        return;
    struct excess of = {SCOPE_SESSION, RATE_BYTES};
    count(s->hub, of);
    close_for(s, of);
}

static bool counts(struct session *s, const struct method *m)
{
    if (m->run != method_subscribe || s->throttle->subscribes >= s->hub->options->channel_limit)
        return true;
    s->throttle->subscribes++;
    return false;
}

/* In all scopes, or *of says in which it is too much; what was taken in those before is gone. */
static bool take(struct session *s, enum rate rate, uint64_t n, struct excess *of)
{
    *of = (struct excess){SCOPE_SESSION, rate};
    if (rate < RATE_CONNECTS && !bucket_take(&s->throttle->done[rate], own(s, rate), n, now_ms(s)))
        return false;
    while (++of->scope < SCOPES)
        if (!party_does(s->hub, *party_in(s, of->scope), rate, n))
            return false;
    return true;
}

bool throttle_admits(struct session *s, const struct method *m, uint32_t id)
{
    struct excess of;
    if (!s->throttle)
        return true;
    bool ok = (!counts(s, m) || take(s, RATE_COMMANDS, 1, &of)) &&
              (m->run != method_publish || take(s, RATE_PUBLISHES, 1, &of)) &&
              take(s, RATE_BYTES, 0, &of); /* they were counted when they came */
    if (!ok && bear(s, of))
        reply_error(s, id, ERR_TOO_MANY_REQUESTS);
    return ok;
}

bool throttle_admits_job(struct session *s)
{
    struct excess of;
    if (!s->throttle || take(s, RATE_JOBS, 1, &of))
        return true;
    (void)bear(s, of);
    return false;
}
