/* SPDX-License-Identifier: MIT */
/* What gateways share beside streams: one script, which backplane/lua/share.lua tells of. */
#include "backplane/redis_private.h"

#include "backplane/base/log.h"

#include <assert.h>
#include <stdlib.h>

#define HEAD_WORDS 4 /* prefix, verb, this gateway, room */

static const struct {
    const char *name;
    bool grows;
} verbs[SHARE_VERBS] = {
    [SHARE_SIGNAL] = {"signal", false},   [SHARE_RECORDS] = {"records", false},
    [SHARE_ENTER] = {"enter", true},      [SHARE_LEAVE] = {"leave", false},
    [SHARE_MEMBERS] = {"members", false}, [SHARE_OWN] = {"own", false},
    [SHARE_COUNT] = {"count", false},     [SHARE_BEAT] = {"beat", false},
    [SHARE_BURY] = {"bury", false},       [SHARE_ARRIVE] = {"arrive", false},
    [SHARE_DEPART] = {"depart", false},   [SHARE_VACATE] = {"vacate", false},
};

struct share_call {
    struct redis_call call;
    struct redis *driver;
    struct share *share;
};

static void end(struct redis *d, struct share *s, enum err e)
{
    s->error = e;
    s->answer = NULL;
    s->answers = 0;
    list_push(&d->unshared, &s->link);
    loop_again(d->base.config.loop);
}

bool redis_share_turn(struct redis *d)
{
    struct list due;
    list_init(&due);
    list_splice(&due, &d->unshared);
    for (struct list *n; (n = list_shift(&due));) {
        struct share *s = container_of(n, struct share, link);
        counter_sub(&d->base.counters.pending, 1);
        s->done(d->base.config.owner, s);
    }
    return !list_empty(&d->unshared);
}

/* The answer's words, which are good as long as the reply; NULL: no memory. */
static struct span *words_of(const struct redis_reply *r)
{
    struct span *words = calloc(r->count + 1, sizeof(*words));
    for (size_t i = 0; words && i < r->count; i++)
        words[i] = redis_reply_text(redis_reply_item(r, i));
    return words;
}

static enum err outcome(const struct share_call *c)
{
    const struct redis_reply *r = c->call.reply;
    struct driver_counters *n = &c->driver->base.counters;
    if (c->call.outcome != CALL_ANSWERED) {
        counter_add(c->call.outcome == CALL_UNKNOWN ? &n->timeouts : &n->refused, 1);
        return ERR_INTERNAL;
    }
    if (redis_reply_is_error(r, "OOM")) {
        counter_add(&n->refused, 1);
        redis_shard_part(&c->driver->shard, PART_MEMORY, true, "its memory is full");
        return ERR_LIMIT;
    }
    if (r->type == REPLY_ARRAY)
        return OK;
    if (r->type == REPLY_ERROR)
        log_warn("%s answers: %.*s", c->driver->settings->name, (int)r->text.n, r->text.p);
    return ERR_INTERNAL;
}

static void answered(struct redis_call *call)
{
    struct share_call *c = container_of(call, struct share_call, call);
    struct redis *d = c->driver;
    struct share *s = c->share;
    struct span *words = NULL;
    s->error = outcome(c);
    if (!s->error && !(words = words_of(call->reply)))
        s->error = ERR_INTERNAL;
    s->answer = words;
    s->answers = s->error ? 0 : call->reply->count;
    free(c);
    counter_sub(&d->base.counters.pending, 1);
    s->done(d->base.config.owner, s);
    free(words);
}

void redis_share(struct driver *driver, struct share *s)
{
    struct redis *d = redis_of(driver);
    struct span words[HEAD_WORDS + SHARE_WORDS_MAX] = {
        span_str(d->settings->prefix), span_str(verbs[s->verb].name), span_str(d->settings->node),
        s->room.p ? s->room : SPAN("")};
    struct share_call *c = redis_shard_able(&d->shard) ? calloc(1, sizeof(*c)) : NULL;
    assert(s->count <= SHARE_WORDS_MAX);
    counter_add(&d->base.counters.pending, 1);
    if (!c) {
        counter_add(&d->base.counters.refused, 1);
        end(d, s, ERR_INTERNAL);
        return;
    }
    for (size_t i = 0; i < s->count; i++)
        words[HEAD_WORDS + i] = s->words[i].p ? s->words[i] : SPAN("");
    c->driver = d;
    c->share = s;
    c->call.done = answered;
    redis_link_eval(redis_server_commands(d->shard.server), &c->call,
                    redis_script(verbs[s->verb].grows ? SCRIPT_GROW : SCRIPT_SHARE), words, 1,
                    HEAD_WORDS + s->count);
}

static struct span word(struct span *rest)
{
    const char *space = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
    struct span w = {rest->p, space ? (size_t)(space - rest->p) : rest->n};
    rest->p += w.n + (space != NULL);
    rest->n -= w.n + (space != NULL);
    return w;
}

/* "s GATEWAY WHAT TEXT"; one's own are known already. */
bool redis_share_heard(struct redis_room *r, struct span payload)
{
    struct redis *d = r->shard->driver;
    const struct driver_config *c = &d->base.config;
    if (!span_eq(word(&payload), SPAN("s")))
        return false;
    if (span_eq(word(&payload), span_str(d->settings->node)) || !c->events->signalled)
        return true;
    struct span what = word(&payload);
    c->events->signalled(c->owner, r->ref, what, payload);
    return true;
}
