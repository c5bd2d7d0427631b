/* SPDX-License-Identifier: MIT */
/* What gateways share beside streams: one script, which backplane/lua/share.lua tells of. */
#include "backplane/redis_private.h"

#include "backplane/base/words.h"

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
    [SHARE_BURY] = {"bury", false},       [SHARE_CLAIM] = {"claim", false},
    [SHARE_SPEND] = {"spend", true},      [SHARE_CONNECTED] = {"connected", false},
};

/* One share under way: one call to the room's server, or one to each. What each server keeps of
 * gateways is about its own rooms. */
struct share_group {
    struct redis *driver;
    struct share *share;
    size_t left; /* calls under way */
    struct share_call {
        struct redis_call call;
        struct redis_shard *shard; /* NULL: not asked */
        struct share_group *group;
        struct redis_reply reply;
        enum err error;
    } calls[];
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

static enum err outcome(const struct share_call *c)
{
    enum err e = redis_shard_outcome(c->shard, &c->call, ERR_LIMIT);
    return e || c->call.reply->type == REPLY_ARRAY ? e : ERR_INTERNAL;
}

/* Appends the words from `from` up to `to` of an answer. */
static size_t add_words(struct span *words, size_t n, const struct redis_reply *r, size_t from,
                        size_t to)
{
    for (size_t i = from; i < to && i < r->count; i++)
        words[n++] = redis_reply_text(redis_reply_item(r, i));
    return n;
}

/* Where in the answer to a beat the names of the dead end. */
static size_t dead_end(const struct redis_reply *r)
{
    int64_t dead = redis_reply_integer(redis_reply_item(r, 1));
    return 2 + (dead > 0 ? (size_t)dead : 0);
}

/* Appends `step` words, the first of which is the name of a gateway, unless another server has told
 * of it: it stands every `step` words behind `from` then. */
static size_t add_gateway(struct span *words, size_t from, size_t n, size_t step,
                          const struct redis_reply *r, size_t at)
{
    struct span name = redis_reply_text(redis_reply_item(r, at));
    for (size_t i = from; i < n; i += step)
        if (span_eq(words[i], name))
            return n;
    return add_words(words, n, r, at, at + step);
}

/* The dead of all servers, then the living of all. */
static size_t merge_beats(const struct share_group *g, struct span *words, char *number)
{
    const struct share_call *c = g->calls, *last = c + g->driver->shard_count;
    size_t n = 2;
    for (; c != last; c++)
        for (size_t at = 2; at < dead_end(&c->reply) && at < c->reply.count; at++)
            n = add_gateway(words, 2, n, 1, &c->reply, at);
    size_t dead = n;
    words[1] = (struct span){number, u64_text(number, n - 2)};
    for (c = g->calls; c != last; c++)
        for (size_t at = dead_end(&c->reply); at + 1 < c->reply.count; at += 2)
            n = add_gateway(words, dead, n, 2, &c->reply, at);
    return n;
}

/* A first word of "1" says the same for all. */
static size_t merge(const struct share_group *g, struct span *words, char *number)
{
    words[0] = SPAN("0");
    for (size_t i = 0; i < g->driver->shard_count; i++)
        if (span_eq(redis_reply_text(redis_reply_item(&g->calls[i].reply, 0)), SPAN("1")))
            words[0] = SPAN("1");
    return g->share->verb == SHARE_BEAT ? merge_beats(g, words, number) : 1;
}

/* Everything is there: the first call's words, or all of theirs. Well if any server answered. */
static void finish(struct share_group *g)
{
    struct redis *d = g->driver;
    struct share *s = g->share;
    char number[U64_TEXT_MAX];
    size_t room = 2;
    s->error = ERR_INTERNAL;
    for (size_t i = 0; i < d->shard_count; i++) {
        const struct share_call *c = &g->calls[i];
        if (!c->shard)
            continue;
        s->error = s->error && c->error ? c->error : OK;
        room += c->error ? 0 : c->reply.count;
    }
    struct span *words = s->error ? NULL : calloc(room, sizeof(*words));
    if (!s->error && !words)
        s->error = ERR_INTERNAL;
    s->answer = words;
    s->answers = 0;
    if (words && (s->verb == SHARE_BEAT || s->verb == SHARE_BURY))
        s->answers = merge(g, words, number);
    for (size_t i = 0; words && !s->answers && i < d->shard_count; i++)
        s->answers = add_words(words, 0, &g->calls[i].reply, 0, g->calls[i].reply.count);
    counter_sub(&d->base.counters.pending, 1);
    s->done(d->base.config.owner, s);
    free(words);
    for (size_t i = 0; i < d->shard_count; i++)
        redis_reply_deinit(&g->calls[i].reply);
    free(g);
}

static void answered(struct redis_call *call)
{
    struct share_call *c = container_of(call, struct share_call, call);
    c->error = outcome(c);
    if (!c->error)
        redis_reply_move(&c->reply, call->reply);
    if (!c->error && verbs[c->group->share->verb].grows)
        redis_shard_part(c->shard, PART_MEMORY, false, NULL);
    if (--c->group->left == 0)
        finish(c->group);
}

/* What is about no room and not about gateways is asked of the first server. */
static bool asked(struct redis *d, const struct share *s, size_t i)
{
    struct redis_shard *shard = &d->shards[i];
    bool all = s->verb == SHARE_BEAT || s->verb == SHARE_BURY;
    bool home = s->room.n ? shard == redis_shard_of(d, s->room) : i == 0;
    return (all || home) && redis_shard_able(shard);
}

/* NULL: no memory, or nobody to ask. */
static struct share_group *group_new(struct redis *d, struct share *s)
{
    struct share_group *g = calloc(1, sizeof(*g) + d->shard_count * sizeof(g->calls[0]));
    for (size_t i = 0; g && i < d->shard_count; i++) {
        if (!asked(d, s, i))
            continue;
        g->left++;
        g->calls[i].shard = &d->shards[i];
        g->calls[i].group = g;
        g->calls[i].call.done = answered;
    }
    if (g && !g->left) {
        free(g);
        return NULL;
    }
    if (g) {
        g->driver = d;
        g->share = s;
    }
    return g;
}

void redis_share(struct driver *driver, struct share *s)
{
    struct redis *d = redis_of(driver);
    struct span words[HEAD_WORDS + SHARE_WORDS_MAX] = {
        span_str(d->settings->prefix), span_str(verbs[s->verb].name), span_str(d->settings->node),
        s->room.p ? s->room : SPAN("")};
    struct share_group *g = group_new(d, s);
    assert(s->count <= SHARE_WORDS_MAX);
    counter_add(&d->base.counters.pending, 1);
    if (!g) {
        counter_add(&d->base.counters.refused, 1);
        end(d, s, ERR_INTERNAL);
        return;
    }
    for (size_t i = 0; i < s->count; i++)
        words[HEAD_WORDS + i] = s->words[i].p ? s->words[i] : SPAN("");
    for (size_t i = 0; i < d->shard_count; i++) { /* none ends inside its call */
        struct share_call *c = &g->calls[i];
        if (c->shard)
            redis_link_eval(redis_server_commands(c->shard->server), &c->call,
                            redis_script(verbs[s->verb].grows ? SCRIPT_GROW : SCRIPT_SHARE), words,
                            0, HEAD_WORDS + s->count);
    }
}

/* "s GATEWAY WHAT TEXT"; one's own are known already. */
bool redis_share_heard(struct redis_room *r, struct span payload)
{
    struct redis *d = r->shard->driver;
    const struct driver_config *c = &d->base.config;
    if (!span_eq(cut_word(&payload), SPAN("s")))
        return false;
    if (span_eq(cut_word(&payload), span_str(d->settings->node)) || !c->events->signalled)
        return true;
    struct span what = cut_word(&payload);
    c->events->signalled(c->owner, r->ref, what, payload);
    return true;
}
