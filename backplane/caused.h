/* SPDX-License-Identifier: MIT */
/* caused.h: a job that a publication causes.
 *
 * It is put in the same step as the publication that states it (see struct commit), if that is
 * stored, is not `quiet`, and somebody follows the room; so either both are there or neither. It is
 * never refused: whatever bounds its queue has, whether it drains, however full the disk is, as
 * long as the publication is taken. What keeps that within bounds is its key: one such job per
 * room is put until it is done or dead, and while a worker has it, it is to run `again`.
 */
#ifndef MADANG_BACKPLANE_CAUSED_H
#define MADANG_BACKPLANE_CAUSED_H

#include "backplane/queue/queue.h"

struct caused {
    struct queue_ref queue;
    struct queue_rules rules; /* what that points to: others may hold before it is committed */
    struct queue_job job;     /* with a key */
    char text[];              /* what the job says */
};

#define NOTIFY_QUEUE "_notify"
#define NOTIFY_KIND  "notify"

/* The job that tells who is away of what there is to read: {"channel":"ROOM"}. One allocation, to
 * be freed with free(); NULL: no memory. `rules`: of the queue; NULL: those that it has. */
struct caused *caused_notify(struct span room, uint64_t delay_ms, const struct queue_rules *rules);

#endif
