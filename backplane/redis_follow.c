/* SPDX-License-Identifier: MIT */
/* Followers and their markers: one script, which backplane/lua/follow.lua tells of. */
#include "backplane/redis_private.h"

#include <assert.h>
#include <stdlib.h>

#define WORDS      6 /* and users, if there are any */
#define LINE_WORDS 8

static const struct {
    const char *name;
    bool grows;
} verbs[FOLLOW_VERBS] = {
    [FOLLOW_BEGIN] = {"begin", true},  [FOLLOW_END] = {"end", false},
    [FOLLOW_READ] = {"read", false},   [FOLLOW_TOLD] = {"told", false},
    [FOLLOW_ROOMS] = {"rooms", false}, [FOLLOW_USERS] = {"users", false},
};

/* One operation under way: one call to the room's server, or one to each. */
struct follow_group {
    struct redis *driver;
    struct follow *follow;
    size_t left; /* calls under way */
    bool well;   /* of those, one has answered */
    struct follow_call {
        struct redis_call call;
        struct redis_shard *shard; /* NULL: not asked */
        struct follow_group *group;
        struct list found; /* struct followed */
        bool more;
    } calls[];
};

/* ---- answers -------------------------------------------------------------------------------- */

static uint64_t number_from(const struct redis_reply *r, size_t at)
{
    int64_t n = redis_reply_integer(redis_reply_item(r, at));
    return n > 0 ? (uint64_t)n : 0;
}

static struct position position_from(const struct redis_reply *r, size_t epoch_at, size_t offset_at)
{
    struct position p = {0};
    struct span epoch = redis_reply_text(redis_reply_item(r, epoch_at));
    if (epoch.n && epoch.n < EPOCH_MAX)
        memcpy(p.epoch, epoch.p, epoch.n);
    p.offset = number_from(r, offset_at);
    return p;
}

static enum err lines_from(struct follow_call *c, const struct redis_reply *r)
{
    const struct follow *f = c->group->follow;
    c->more = redis_reply_integer(redis_reply_item(r, 1)) == 1;
    for (size_t i = 2; i + LINE_WORDS <= r->count; i += LINE_WORDS) {
        struct followed *line = followed_add(&c->found, redis_reply_text(redis_reply_item(r, i)));
        if (!line)
            return ERR_INTERNAL;
        line->marker = position_from(r, i + 1, i + 2);
        line->top = position_from(r, i + 3, i + 4);
        line->unread = number_from(r, i + 5);
        if (f->verb == FOLLOW_ROOMS)
            continue;
        line->told = position_from(r, i + 3, i + 6);
        line->untold = number_from(r, i + 7);
    }
    return OK;
}

static enum err answer_from(struct follow_call *c, struct follow *f)
{
    static const enum err errors[] = {OK, ERR_LIMIT, ERR_NOT_AVAILABLE};
    const struct redis_reply *r = c->call.reply;
    enum err e = redis_shard_outcome(c->shard, &c->call, ERR_INTERNAL);
    if (e)
        return e;
    int64_t what = redis_reply_integer(redis_reply_item(r, 0));
    if (r->type != REPLY_ARRAY || what < 0 || what > 2)
        return ERR_INTERNAL;
    if (verbs[f->verb].grows)
        redis_shard_part(c->shard, PART_MEMORY, false, NULL);
    if (f->verb == FOLLOW_ROOMS || f->verb == FOLLOW_USERS)
        return lines_from(c, r);
    f->changed = redis_reply_integer(redis_reply_item(r, 1)) == 1;
    if (f->verb != FOLLOW_END)
        f->at = position_from(r, 3, 2);
    return errors[what];
}

/* ---- several lists as one ------------------------------------------------------------------- */

static struct followed *first_of(const struct list *l)
{
    return list_empty(l) ? NULL : container_of(l->next, struct followed, link);
}

static bool comes_before(const struct followed *a, const struct followed *b)
{
    int c = memcmp(a->name, b->name, a->name_len < b->name_len ? a->name_len : b->name_len);
    return c < 0 || (c == 0 && a->name_len < b->name_len);
}

/* The call whose list has the next line. NULL: they are at their end, or one of them is and had
 * more, so that nobody knows. */
static struct follow_call *next_of(struct follow_group *g)
{
    struct follow_call *next = NULL;
    for (size_t i = 0; i < g->driver->shard_count; i++) {
        struct follow_call *c = &g->calls[i];
        const struct followed *line = first_of(&c->found);
        if (!line && c->more)
            return NULL;
        if (line && (!next || comes_before(line, first_of(&next->found))))
            next = c;
    }
    return next;
}

static void merge(struct follow_group *g)
{
    struct follow *f = g->follow;
    struct follow_call *c;
    for (uint32_t n = 0; n < f->max_count && (c = next_of(g)); n++)
        list_push(&f->found, list_shift(&c->found));
    for (size_t i = 0; i < g->driver->shard_count; i++)
        f->more |= g->calls[i].more || !list_empty(&g->calls[i].found);
}

static void finish(struct follow_group *g)
{
    struct follow *f = g->follow;
    if (g->well) {
        merge(g);
        f->error = OK;
    }
    for (size_t i = 0; i < g->driver->shard_count; i++)
        for (struct list *n; (n = list_shift(&g->calls[i].found));)
            free(container_of(n, struct followed, link));
    if (f->error)
        operation_fail(&f->operation, f->error);
    redis_tell(g->driver, &f->operation);
    free(g);
}

static void answered(struct redis_call *call)
{
    struct follow_call *c = container_of(call, struct follow_call, call);
    struct follow_group *g = c->group;
    enum err e = answer_from(c, g->follow);
    if (e)
        g->follow->error = e;
    g->follow->partial |= e != OK;
    g->well |= !e;
    if (--g->left == 0)
        finish(g);
}

/* ---- questions ------------------------------------------------------------------------------ */

static struct span number(char text[U64_TEXT_MAX], uint64_t n)
{
    return (struct span){text, u64_text(text, n)};
}

static void ask(struct follow_call *c)
{
    struct redis *d = c->group->driver;
    const struct follow *f = c->group->follow;
    char a[U64_TEXT_MAX], b[U64_TEXT_MAX];
    bool begins = f->verb == FOLLOW_BEGIN;
    bool states = f->verb == FOLLOW_READ || f->verb == FOLLOW_TOLD;
    struct span words[WORDS + FOLLOWED_MAX] = {
        span_str(d->settings->prefix),
        span_str(verbs[f->verb].name),
        f->user.p ? f->user : SPAN(""),
        f->room ? f->room->name : SPAN(""),
        begins       ? number(a, f->max_rooms)
        : states     ? number(a, f->at.offset)
        : f->after.p ? f->after
                     : SPAN(""),
        states ? position_epoch(&f->at) : number(b, begins ? f->max_users : f->max_count),
    };
    size_t n = f->verb == FOLLOW_TOLD ? f->user_count : 0;
    assert(n <= FOLLOWED_MAX);
    for (size_t i = 0; i < n; i++)
        words[WORDS + i] = f->users[i];
    redis_link_eval(redis_server_commands(c->shard->server), &c->call,
                    redis_script(verbs[f->verb].grows ? SCRIPT_ATTEND : SCRIPT_FOLLOW), words, 0,
                    WORDS + n);
}

static struct follow_group *group_new(struct redis *d, struct follow *f)
{
    struct follow_group *g = calloc(1, sizeof(*g) + d->shard_count * sizeof(g->calls[0]));
    if (!g)
        return NULL;
    g->driver = d;
    g->follow = f;
    for (size_t i = 0; i < d->shard_count; i++)
        list_init(&g->calls[i].found);
    return g;
}

static void choose(struct follow_group *g, struct redis_shard *s)
{
    struct follow_call *c = &g->calls[s->index];
    c->shard = s;
    c->group = g;
    c->call.done = answered;
    g->left++;
}

bool redis_follow_send(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    struct follow_group *g = group_new(s->driver, container_of(o, struct follow, operation));
    (void)room;
    if (!g)
        return false;
    choose(g, s);
    ask(&g->calls[s->index]);
    return true;
}

void redis_follow_rooms(struct redis *d, struct follow *f)
{
    struct follow_group *g = group_new(d, f);
    counter_add(&d->base.counters.pending, 1);
    for (size_t i = 0; g && i < d->shard_count; i++) {
        if (redis_shard_able(&d->shards[i]))
            choose(g, &d->shards[i]);
        else
            f->partial = true;
    }
    if (!g || !g->left) {
        counter_add(&d->base.counters.refused, 1);
        redis_end(d, &f->operation, ERR_INTERNAL);
        free(g);
        return;
    }
    for (size_t i = 0; i < d->shard_count; i++) /* none ends inside its call */
        if (g->calls[i].shard)
            ask(&g->calls[i]);
}
