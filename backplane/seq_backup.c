/* SPDX-License-Identifier: MIT */
/* Copies of what the driver keeps in a file. */
#include "backplane/seq_private.h"

#include <stdio.h>

static void answered(struct backup *b)
{
    struct request_backup *q = container_of(b, struct request_backup, backup);
    seq_answer(b->owner, &q->request, b->error);
}

void seq_on_backup(struct sequencer *s, struct request *r)
{
    struct request_backup *q = (struct request_backup *)r;
    q->backup.owner = s;
    q->backup.done = answered;
    if (s->driver->ops->backup) {
        s->driver->ops->backup(s->driver, &q->backup);
        return;
    }
    (void)snprintf(q->backup.why, sizeof(q->backup.why), "this gateway keeps nothing in a file");
    seq_answer(s, r, ERR_NOT_AVAILABLE);
}
