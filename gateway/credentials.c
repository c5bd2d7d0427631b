/* SPDX-License-Identifier: MIT */
#include "gateway/credentials.h"

#include "gateway/connecting.h"
#include "gateway/methods.h"

#include <stdlib.h>

#define UNSUBSCRIBE_EXPIRED 2501

struct lease {
    struct subscription *sub;
    struct timer expiry;
};

int64_t wall_s(void)
{
    return (int64_t)(wall_ms() / 1000);
}

/* Seconds until then, for a client: at least 1. */
static uint64_t ttl_s(int64_t end_s)
{
    int64_t left = end_s - wall_s();
    return left < 1 ? 1 : left > TTL_MAX_S ? TTL_MAX_S : (uint64_t)left;
}

void add_ttl(struct buf *b, int64_t end_s)
{
    if (!end_s)
        return;
    buf_lit(b, "\"expires\":true,\"ttl\":");
    buf_u64(b, ttl_s(end_s));
    buf_lit(b, ",");
}

static void arm(struct loop *l, struct timer *t, int64_t end_s, uint64_t delay_ms, timer_fn fire)
{
    if (end_s)
        loop_arm(l, t, ttl_s(end_s) * 1000 + delay_ms, fire);
    else
        loop_cancel(l, t);
}

/* ---- connections ---- */

struct credentials *credentials_of(struct session *s)
{
    if (!s->credentials && (s->credentials = calloc(1, sizeof(*s->credentials))))
        s->credentials->session = s;
    return s->credentials;
}

void credentials_drop(struct session *s)
{
    if (!s->credentials)
        return;
    loop_cancel(s->hub->loop, &s->credentials->expiry);
    free(s->credentials);
    s->credentials = NULL;
}

void credentials_end(struct session *s)
{
    struct credentials *c = s->credentials;
    if (!c)
        return;
    loop_cancel(s->hub->loop, &c->expiry);
    if (!c->counted)
        return;
    c->counted = false;
    c->depart.tenant = &c->tenant;
    hub_request(s->hub, s, &c->depart.request, REQUEST_DEPART, 0);
}

/* It is embedded: there is nothing to free. */
void answered_depart(struct hub *h, struct request *r)
{
    (void)h, (void)r;
}

static bool count_in(struct session *s, struct request_arrive *q)
{
    const struct options *o = s->hub->options;
    struct credentials *c = credentials_of(s);
    if (!c)
        return false;
    c->counted = true;
    q->tenant = &c->tenant;
    if (o->auth == AUTH_JWT) { /* names that others cannot take */
        q->limit = o->user_connection_limit;
        q->single = o->single_connection;
    }
    return true;
}

bool credentials_ask(struct session *s, bool counted)
{
    struct span user = client_info_user(s->client);
    struct request_arrive *q = calloc(1, sizeof(*q) + user.n);
    if (!q)
        return false;
    if (counted && !count_in(s, q)) {
        free(q);
        return false;
    }
    char *at = q->name;
    q->user = span_copy(&at, user);
    hub_request(s->hub, s, &q->request, REQUEST_ARRIVE, 0);
    return true;
}

/* In words, if there are any and there is memory for them. */
static void close_banned(struct session *s, const char *why)
{
    struct msg *frame = why ? close_frame_of(CLOSE_PERMISSION, span_str(why)) : NULL;
    if (frame)
        session_dismiss(s, CLOSE_PERMISSION, frame);
    else
        session_close(s, CLOSE_PERMISSION);
    msg_unref(frame);
}

void answered_arrive(struct hub *h, struct request *r)
{
    struct request_arrive *q = (struct request_arrive *)r;
    struct session *s = r->owner;
    (void)h;
    if (session_alive(s)) {
        if (r->error == ERR_LIMIT)
            session_close(s, CLOSE_CONNECTION_LIMIT);
        else if (r->error == ERR_PERMISSION)
            close_banned(s, q->why);
        else
            connecting_counted(s, r->error);
    }
    free(q->why);
    free(q);
}

static void connection_over(struct timer *t)
{
    session_close(container_of(t, struct credentials, expiry)->session, CLOSE_EXPIRED);
}

bool connection_expires(struct session *s, int64_t end_s)
{
    if (!end_s && !s->credentials)
        return true;
    struct credentials *c = credentials_of(s);
    if (!c)
        return false;
    c->end_s = end_s;
    arm(s->hub->loop, &c->expiry, end_s, s->hub->options->expired_close_delay_ms, connection_over);
    return true;
}

/* ---- subscriptions ---- */

void lease_drop(struct subscription *sub)
{
    if (!sub->lease)
        return;
    loop_cancel(sub->session->hub->loop, &sub->lease->expiry);
    free(sub->lease);
    sub->lease = NULL;
}

static void subscription_over(struct timer *t)
{
    struct subscription *sub = container_of(t, struct lease, expiry)->sub;
    if (sub->server_side)
        session_close(sub->session, CLOSE_SUB_EXPIRED);
    else if (session_alive(sub->session))
        unsubscribe_with(sub, UNSUBSCRIBE_EXPIRED, SPAN("subscription expired"));
}

bool subscription_expires(struct subscription *sub, int64_t end_s)
{
    struct hub *h = sub->session->hub;
    if (!end_s) {
        lease_drop(sub);
        return true;
    }
    if (!sub->lease && !(sub->lease = calloc(1, sizeof(*sub->lease))))
        return false;
    sub->lease->sub = sub;
    arm(h->loop, &sub->lease->expiry, end_s, h->options->expired_sub_close_delay_ms,
        subscription_over);
    return true;
}
