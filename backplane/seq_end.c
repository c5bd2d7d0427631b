/* SPDX-License-Identifier: MIT */
/* The end of a sequencer. First its servers are let go of, then what it remembers. */
#include "backplane/seq_private.h"

#include "backplane/seq_control.h"

#include <stdlib.h>

struct queue_desk *sequencer_queues(struct sequencer *s)
{
    return s->queues;
}

void sequencer_stop(struct sequencer *s)
{
    if (!s || s->stopped)
        return;
    s->stopped = true;
    loop_remove(s->loop, &s->actor);
    (void)inbox_take(&s->inbox); /* at most ports' own `drained` */
    seq_control_close(s);
    seq_shared_close(s);
    seq_survey_close(s);
    seq_claims_close(s);
    seq_rates_close(s);
    queue_desk_stop(s->queues);
    s->driver->ops->stop(s->driver); /* fills may be under way */
}

void sequencer_free(struct sequencer *s)
{
    if (!s)
        return;
    sequencer_stop(s);
    seq_control_forget(s);
    seq_survey_forget(s);
    seq_rooms_deinit(&s->rooms);
    users_deinit(&s->users);
    ledger_deinit(&s->ledger);
    sanctions_deinit(&s->sanctions);
    pace_deinit(&s->pace);
    queue_desk_free(s->queues);
    s->driver->ops->close(s->driver);
    inbox_deinit(&s->inbox);
    free(s);
}
