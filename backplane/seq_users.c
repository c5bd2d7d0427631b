/* SPDX-License-Identifier: MIT */
/* Users: who comes and goes, what they have done, and orders to their sessions. */
#include "backplane/base/loop.h"
#include "backplane/order_text.h"
#include "backplane/seq_private.h"

#include <assert.h>

void seq_on_arrive(struct sequencer *s, struct request *r)
{
    struct request_arrive *a = (struct request_arrive *)r;
    enum err e = seq_refuse_entry(s, a->user, (struct span){0}, &a->why);
    if (!e && a->tenant && s->driver->ops->shared) {
        seq_claims_arrive(s, a);
        return;
    }
    if (!e && a->tenant)
        e = users_arrive(&s->users, a);
    seq_answer(s, r, e);
}

void seq_on_depart(struct sequencer *s, struct request *r)
{
    struct request_depart *d = (struct request_depart *)r;
    if (s->driver->ops->shared) {
        seq_claims_depart(s, d);
    } else {
        struct user *user = users_depart(&s->users, d);
        if (user)
            users_release(&s->users, user);
    }
    seq_answer(s, r, OK);
}

void seq_on_spend(struct sequencer *s, struct request *r)
{
    ledger_spend(&s->ledger, (struct request_spend *)r, loop_now_ms(s->loop));
    counter_set(&s->counters.accounts, s->ledger.count);
    seq_rates_go_on(s);
    seq_answer(s, r, OK);
}

/* An order goes to every hub, behind what was posted to it before. */
void seq_on_control(struct sequencer *s, struct request *r)
{
    struct control *c = ((struct request_control *)r)->control;
    assert(c->hubs == s->rooms.hubs);
    if (s->driver->ops->shared) {
        struct decision d = {0};
        struct buf id = {0};
        seq_control_id(s, &id);
        order_write_control(&d.text, (struct span){id.p, id.n}, c);
        d.text.failed |= id.failed;
        buf_deinit(&id);
        seq_control_give(s, r, &d);
        return;
    }
    seq_post_control(s, c);
    seq_answer(s, r, OK);
}
