/* SPDX-License-Identifier: MIT */
#include "gateway/order.h"

#include "gateway/close.h"
#include "gateway/credentials.h"
#include "gateway/methods.h"
#include "gateway/session.h"
#include "gateway/told.h"

/* In the order's own words; without memory for these, in the usual ones. */
static void disconnect(struct session *s, struct control *c)
{
    struct msg *frame = close_frame_with(c->code, c->reason);
    if (frame)
        session_dismiss(s, CLOSE_ORDERED, frame);
    else
        session_close(s, CLOSE_ORDERED);
    msg_unref(frame);
}

static void unsubscribe(struct session *s, struct control *c)
{
    unsubscribe_by_order(s, c);
}

/* One that is still connecting hears of it with the reply. */
static void refresh(struct session *s, struct control *c)
{
    bool ok = (!c->sets_end || connection_expires(s, c->end_s)) && session_renew_info(s, c->info);
    if (!ok)
        session_close(s, CLOSE_INTERNAL);
    else if (c->sets_end && s->state == SESSION_OPEN)
        push_refreshed(s, c->end_s);
}

static void (*const actions[CONTROL_OPS])(struct session *, struct control *) = {
    [CONTROL_DISCONNECT] = disconnect,
    [CONTROL_SUBSCRIBE] = subscribe_by_order,
    [CONTROL_UNSUBSCRIBE] = unsubscribe,
    [CONTROL_REFRESH] = refresh,
};

void order_carry_out(struct hub *h, struct control *c)
{
    if (c->op == CONTROL_RECALL) {
        told_recall(h);
        return;
    }
    struct list *sessions = users_sessions(&h->users, c->user);
    struct list *n, *tmp;
    if (!sessions)
        return;
    list_for_each_safe (n, tmp, sessions) {
        struct session *s = container_of(n, struct session, user_link);
        if (session_alive(s) && control_is_for(c, s->client))
            actions[c->op](s, c);
    }
}
