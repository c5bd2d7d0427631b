/* SPDX-License-Identifier: MIT */
/* One connection, before anything else is begun, to see whether the server will do. */
#include "backplane/base/loop.h"
#include "backplane/redis.h"

struct trial {
    struct loop loop;
    struct buf *why;
    enum redis_verdict verdict;
    bool over;
};

static void on_up(struct redis_link *l, void *owner)
{
    struct trial *t = owner;
    (void)l;
    t->verdict = REDIS_WELL;
    t->over = true;
}

static void on_down(struct redis_link *l, void *owner, enum redis_fault fault, bool was_up,
                    const char *why)
{
    struct trial *t = owner;
    (void)was_up;
    t->verdict = fault == FAULT_REFUSED ? REDIS_REFUSED : REDIS_AWAY;
    buf_fmt(t->why, "%s: %s", redis_link_target(l), why);
    t->over = true;
}

enum redis_verdict redis_try(const struct redis_settings *s, struct buf *why)
{
    static const struct redis_link_events events = {.up = on_up, .down = on_down};
    struct trial t = {.why = why, .verdict = REDIS_AWAY};
    if (loop_init(&t.loop)) {
        buf_lit(why, "no event loop");
        return REDIS_AWAY;
    }
    struct redis_link *link = redis_link_open(&t.loop, &s->server.link, &events, &t);
    while (link && !t.over)
        uv_run(&t.loop.uv, UV_RUN_ONCE);
    redis_link_close(link);
    loop_settle(&t.loop);
    (void)loop_deinit(&t.loop);
    return t.verdict;
}
