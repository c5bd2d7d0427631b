/* SPDX-License-Identifier: MIT */
#include "gateway/throttle.h"

#include "backplane/base/log.h"
#include "gateway/methods.h"

/* A frame's header counts too, else empty parts of messages would be free. */
#define FRAME_OVERHEAD 6

static uint64_t now_ms(const struct session *s)
{
    return loop_now_ms(s->hub->loop);
}

static bool is_free(const struct session *s)
{
    return s->hub->options->auth == AUTH_INSECURE;
}

struct allowance throttle_allowance(const struct options *o, enum scope scope, enum rate rate)
{
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

static void count(const struct session *s, struct excess of)
{
    counter_add(&s->hub->counters.refused[of.scope][of.rate], 1);
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

static void refuse(struct session *s, uint32_t id, struct excess of)
{
    const struct options *o = s->hub->options;
    struct allowance patience = {o->refusals, o->burst_ms};
    count(s, of);
    if (bucket_take(&s->throttle.refused, patience, 1, now_ms(s)))
        reply_error(s, id, ERR_TOO_MANY_REQUESTS);
    else
        close_for(s, of);
}

/* ---- what a session does -------------------------------------------------------------------- */

void throttle_received(struct session *s, size_t n)
{
    if (is_free(s))
        return;
    struct allowance a = own(s, RATE_BYTES);
    struct bucket *bytes = &s->throttle.done[RATE_BYTES];
    uint64_t now = now_ms(s);
    if (bucket_charge(bytes, a, n + FRAME_OVERHEAD, now) ||
        bucket_wait_ms(bytes, a, 0, now) < a.period_ms * BUCKET_DEBT)
        return;
    struct excess of = {SCOPE_SESSION, RATE_BYTES};
    count(s, of);
    close_for(s, of);
}

static bool counts(struct session *s, const struct method *m)
{
    if (m->run != method_subscribe || s->throttle.subscribes >= s->hub->options->channel_limit)
        return true;
    s->throttle.subscribes++;
    return false;
}

static bool take(struct session *s, enum rate rate, uint64_t n)
{
    return bucket_take(&s->throttle.done[rate], own(s, rate), n, now_ms(s));
}

bool throttle_admits(struct session *s, const struct method *m, uint32_t id)
{
    struct excess of = {SCOPE_SESSION, RATE_COMMANDS};
    if (is_free(s))
        return true;
    bool ok = !counts(s, m) || take(s, RATE_COMMANDS, 1);
    if (ok && m->run == method_publish) {
        of.rate = RATE_PUBLISHES;
        ok = take(s, RATE_PUBLISHES, 1);
    }
    if (ok) {
        of.rate = RATE_BYTES;
        ok = take(s, RATE_BYTES, 0); /* they are charged when they come */
    }
    if (!ok)
        refuse(s, id, of);
    return ok;
}
