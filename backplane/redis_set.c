/* SPDX-License-Identifier: MIT */
/* Rooms are spread over the servers by the names of all of them, so gateways that know different
 * servers would keep one room in two places. Each server stores which set it belongs to; it is
 * looked at before a connection is used and once a second. While any server says something else,
 * nothing is asked of any of them. */
#include "backplane/redis_private.h"

#include "backplane/base/log.h"

static void turn_to(struct redis_shard *s, enum redis_allegiance set)
{
    struct redis *d = s->driver;
    d->disputes += (set == SET_OTHER) - (s->set == SET_OTHER);
    s->set = set;
}

static void tell_other(struct redis_shard *s, struct span set)
{
    struct buf why = {0};
    const struct buf *ours = &s->driver->set;
    buf_fmt(&why, "it belongs to the servers \"%.*s\", but this gateway is set up for \"%.*s\"",
            (int)set.n, set.p, (int)ours->n, ours->p);
    buf_char(&why, '\0');
    if (s->set != SET_OTHER)
        log_error("%s: %s; no room is served until both are the same", s->label,
                  why.failed ? "another set of servers" : why.p);
    redis_shard_part(s, PART_SERVER, true, why.failed ? "another set of servers" : why.p);
    buf_deinit(&why);
}

static void tell_returned(struct redis *d)
{
    const struct driver_config *c = &d->base.config;
    if (d->forgot && c->events->forgot)
        c->events->forgot(c->owner);
    d->forgot = false;
    if (c->events->returned)
        c->events->returned(c->owner);
}

static void set_done(struct redis_call *call)
{
    struct redis_shard *s = container_of(call, struct redis_shard, set_call);
    struct redis *d = s->driver;
    struct span ours = {d->set.p, d->set.n}, set = redis_reply_text(call->reply);
    s->set_busy = false;
    if (call->outcome != CALL_ANSWERED || d->closing)
        return;
    if (call->reply->type != REPLY_STRING) {
        redis_link_cut(redis_server_commands(s->server), FAULT_REFUSED, set.p ? set.p : "no set");
        return;
    }
    if (span_eq(set, ours)) {
        bool first = s->set != SET_OURS;
        turn_to(s, SET_OURS);
        if (first)
            redis_check_again(s);
        loop_again(d->base.config.loop); /* what waited for this goes on in the turn */
        if (first && !d->disputes)
            tell_returned(d);
        return;
    }
    tell_other(s, set);
    turn_to(s, SET_OTHER);
    for (size_t i = 0; i < d->shard_count; i++)
        redis_shard_fail_waiting(&d->shards[i]);
}

void redis_set_ask(struct redis_shard *s)
{
    struct redis *d = s->driver;
    struct redis_link *link = redis_server_commands(s->server);
    if (s->set_busy || !redis_link_is_up(link))
        return;
    buf_clear(&d->scratch);
    if (!buf_reserve(&d->scratch, redis_key_max(d, (struct span){0})))
        return; /* the tick tries again */
    struct span words[] = {redis_key(d, "servers", (struct span){0}), {d->set.p, d->set.n}};
    s->set_busy = true;
    s->set_call.done = set_done;
    redis_link_eval(link, &s->set_call, redis_script(SCRIPT_SERVERS), words, 1, 2);
}

void redis_set_lost(struct redis_shard *s)
{
    if (s->set == SET_OURS)
        turn_to(s, SET_UNKNOWN); /* another set stays what it is until a server says otherwise */
}
