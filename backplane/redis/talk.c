/* SPDX-License-Identifier: MIT */
#include "backplane/redis/talk.h"

#include "backplane/base/loop.h"

#include <stdio.h>
#include <stdlib.h>

struct redis_talk {
    struct loop loop;
    struct redis_link *link;
    struct buf *why; /* of the call that is under way */
    struct redis_call call;
    struct redis_reply reply;
    enum redis_verdict verdict;
    bool over; /* what is waited for has come */
};

static void on_up(struct redis_link *l, void *owner)
{
    struct redis_talk *t = owner;
    (void)l;
    t->verdict = REDIS_WELL;
    t->over = true;
}

static void on_down(struct redis_link *l, void *owner, enum redis_fault fault, bool was_up,
                    const char *why)
{
    struct redis_talk *t = owner;
    if (was_up || t->over)
        return; /* the call says so, or nobody asks */
    t->verdict = fault == FAULT_REFUSED ? REDIS_REFUSED : REDIS_AWAY;
    buf_fmt(t->why, "%s: %s", redis_link_target(l), why);
    t->over = true;
}

static void wait(struct redis_talk *t)
{
    while (!t->over)
        uv_run(&t->loop.uv, UV_RUN_ONCE);
}

/* ---- where the master is -------------------------------------------------------------------- */

struct search {
    struct loop *loop;
    struct redis_url *url; /* gets the address */
    struct timer deadline;
    enum redis_verdict verdict;
    char why[256]; /* what the last Sentinel said */
    bool over;
};

static void on_found(void *owner, const char *host, uint16_t port)
{
    struct search *s = owner;
    (void)snprintf(s->url->host, sizeof(s->url->host), "%s", host);
    s->url->port = port;
    s->verdict = REDIS_WELL;
    s->over = true;
}

static void on_helpless(void *owner, enum redis_fault fault, const char *why)
{
    struct search *s = owner;
    if (s->verdict == REDIS_WELL || (s->verdict == REDIS_REFUSED && fault == FAULT_AWAY))
        return;
    s->verdict = fault == FAULT_REFUSED ? REDIS_REFUSED : REDIS_AWAY;
    (void)snprintf(s->why, sizeof(s->why), "%s", why);
}

static void on_deadline(struct timer *t)
{
    container_of(t, struct search, deadline)->over = true;
}

static enum redis_verdict search(struct loop *loop, const struct redis_server_options *o,
                                 struct redis_url *url, struct buf *why)
{
    static const struct redis_sentinel_events events = {on_found, on_helpless};
    struct search s = {.loop = loop, .url = url, .verdict = REDIS_AWAY, .why = "no answer"};
    struct redis_sentinel *sentinel = redis_sentinel_open(loop, &o->sentinels, &events, &s);
    loop_arm(loop, &s.deadline, o->link.connect_ms, on_deadline);
    while (sentinel && !s.over)
        uv_run(&loop->uv, UV_RUN_ONCE);
    loop_cancel(loop, &s.deadline);
    redis_sentinel_close(sentinel);
    if (s.verdict != REDIS_WELL)
        buf_str(why, s.why);
    return s.verdict;
}

/* ---- one connection ------------------------------------------------------------------------- */

static void connect_to(struct redis_talk *t, const struct redis_server_options *o)
{
    static const struct redis_link_events events = {.up = on_up, .down = on_down};
    struct redis_link_options link = o->link;
    if (o->sentinels.count) {
        t->verdict = search(&t->loop, o, &link.url, t->why);
        if (t->verdict != REDIS_WELL)
            return;
    }
    t->verdict = REDIS_AWAY;
    t->link = redis_link_open(&t->loop, &link, &events, t);
    if (t->link)
        wait(t);
    else
        buf_lit(t->why, "no memory for a connection");
}

struct redis_talk *redis_talk_open(const struct redis_server_options *o,
                                   enum redis_verdict *verdict, struct buf *why)
{
    struct redis_talk *t = calloc(1, sizeof(*t));
    *verdict = REDIS_AWAY;
    if (!t || loop_init(&t->loop)) {
        buf_lit(why, "no event loop");
        free(t);
        return NULL;
    }
    t->why = why;
    connect_to(t, o);
    *verdict = t->verdict;
    if (t->verdict == REDIS_WELL)
        return t;
    redis_talk_close(t);
    return NULL;
}

void redis_talk_close(struct redis_talk *t)
{
    if (!t)
        return;
    redis_link_close(t->link);
    loop_settle(&t->loop);
    (void)loop_deinit(&t->loop);
    redis_reply_deinit(&t->reply);
    free(t);
}

static void on_done(struct redis_call *call)
{
    struct redis_talk *t = container_of(call, struct redis_talk, call);
    if (call->outcome == CALL_ANSWERED)
        redis_reply_move(&t->reply, call->reply);
    else
        buf_fmt(t->why, "%s: %s", redis_link_target(t->link), call->why);
    t->over = true;
}

struct redis_reply *redis_talk_ask(struct redis_talk *t, const struct span *words, size_t n,
                                   struct buf *why)
{
    redis_reply_deinit(&t->reply);
    t->why = why;
    t->over = false;
    t->call = (struct redis_call){.done = on_done};
    redis_link_call(t->link, &t->call, words, n);
    wait(t);
    if (t->call.outcome != CALL_ANSWERED)
        return NULL;
    if (t->reply.type != REPLY_ERROR)
        return &t->reply;
    buf_fmt(why, "%s: it answers %.*s", redis_link_target(t->link), (int)t->reply.text.n,
            t->reply.text.p);
    return NULL;
}
