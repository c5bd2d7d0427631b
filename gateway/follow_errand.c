/* SPDX-License-Identifier: MIT */
#include "gateway/follow_errand.h"

#include "gateway/hub.h"
#include "gateway/methods.h"

#include <stdlib.h>

static void answered(struct hub *h, struct request *r)
{
    struct request_follow *q = (struct request_follow *)r;
    struct follow_errand *f = r->owner;

    (void)h;
    f->error = r->error;
    f->more = q->follow.more;
    list_splice(&f->found, &q->follow.found);
    free(q->why);
    free(q);
    errand_end(&f->errand);
}

/* NULL: no memory. */
static struct request_follow *request_of(const struct follow_errand *f, const struct room_rules *r)
{
    struct request_follow *q = calloc(1, sizeof(*q) + f->room.n + f->after.n);

    if (!q)
        return NULL;
    char *at = q->name;
    q->room = span_copy(&at, f->room);
    q->look = f->verb == FOLLOW_USERS;
    q->follow.verb = f->verb;
    q->follow.after = span_copy(&at, f->after);
    q->follow.max_count = f->max_count;
    q->follow.users = f->users;
    q->follow.user_count = f->user_count;
    q->follow.at = f->at;
    q->follow.limits = limits_of(r);
    return q;
}

void follow_errand_run(struct hub *h, struct errand *e)
{
    struct follow_errand *f = container_of(e, struct follow_errand, errand);
    const struct room_rules *r = f->room.n && f->room.n <= h->options->channel_max_length
                                     ? rules_of(&h->options->rules, f->room)
                                     : NULL;
    struct request_follow *q = r ? request_of(f, r) : NULL;

    f->more = false;
    list_init(&f->found);
    if (!q) {
        f->error = r ? ERR_INTERNAL : ERR_UNKNOWN_CHANNEL;
        errand_end(e);
        return;
    }
    q->request.owner = f;
    hub_ask(h, &q->request, REQUEST_FOLLOW, answered);
}
