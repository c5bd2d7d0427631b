/* SPDX-License-Identifier: MIT */
/* follow, unfollow, mark_read, follows, followers: durable subscriptions, by an application. */
#include "gateway/api_private.h"
#include "gateway/following.h"
#include "gateway/token.h"

static void answered(struct hub *h, struct request *r)
{
    struct request_follow *q = (struct request_follow *)r;
    struct api_task *t = r->owner;
    enum err e = r->error;
    if (!e) {
        following_tell(h, q);
        following_write(&t->result, q, "channel");
    }
    api_done(t, e);
    following_free(q);
}

/* What the verb needs: a user, a room, a stream. */
static enum err check(const struct api_task *t, const struct api_params *p, struct following *f)
{
    const struct room_rules *r;
    if (f->verb != FOLLOW_USERS && (!p->user.n || room_name_check(p->user, TOKEN_USER_MAX)))
        return ERR_BAD_REQUEST;
    if (f->verb == FOLLOW_ROOMS)
        return OK;
    enum err e = api_rules(t, p->channel, &r);
    if (e == ERR_UNKNOWN_CHANNEL && f->verb == FOLLOW_END)
        return OK; /* what is left over from a namespace can be ended */
    if (e)
        return e;
    f->rules = r;
    bool needs_stream = f->verb == FOLLOW_BEGIN || f->verb == FOLLOW_READ;
    return needs_stream && !r->history_size ? ERR_NOT_AVAILABLE : OK;
}

static void ask(struct api_task *t, enum follow_verb verb)
{
    struct api_params p;
    if (!api_read_params(t, &p))
        return;
    struct following f = {.verb = verb, .after = p.after, .limit = p.limit};
    enum err e = check(t, &p, &f);
    if (verb != FOLLOW_USERS)
        f.user = p.user;
    if (verb != FOLLOW_ROOMS)
        f.room = p.channel;
    f.at = position_asked(p.offset ? p.offset : UINT64_MAX, p.epoch);
    struct request_follow *q = e ? NULL : following_request(t->call->hub, &f);
    if (!q) {
        api_done(t, e ? e : ERR_INTERNAL);
        return;
    }
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_FOLLOW, answered);
}

void api_follow(struct api_task *t)
{
    ask(t, FOLLOW_BEGIN);
}

void api_unfollow(struct api_task *t)
{
    ask(t, FOLLOW_END);
}

void api_mark_read(struct api_task *t)
{
    ask(t, FOLLOW_READ);
}

void api_follows(struct api_task *t)
{
    ask(t, FOLLOW_ROOMS);
}

void api_followers(struct api_task *t)
{
    ask(t, FOLLOW_USERS);
}
