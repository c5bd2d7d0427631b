/* SPDX-License-Identifier: MIT */
/* What is asked of users: whether one may have another connection, and what it has done. */
#include "backplane/base/loop.h"
#include "backplane/seq_private.h"

void seq_on_arrive(struct sequencer *s, struct request *r)
{
    seq_answer(s, r, users_arrive(&s->users, (struct request_arrive *)r));
}

void seq_on_depart(struct sequencer *s, struct request *r)
{
    users_depart(&s->users, (struct request_depart *)r);
    seq_answer(s, r, OK);
}

void seq_on_spend(struct sequencer *s, struct request *r)
{
    ledger_spend(&s->ledger, (struct request_spend *)r, loop_now_ms(s->loop));
    counter_set(&s->counters.accounts, s->ledger.count);
    seq_answer(s, r, OK);
}
