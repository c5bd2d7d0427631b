/* SPDX-License-Identifier: MIT */
/* queue_local.h: the queue driver that keeps jobs in the store of this gateway.
 *
 * What is begun in one turn of the loop shares one step, and steps share transactions, so a sync is
 * paid per batch. A take that is begun right behind a put is in the same transaction.
 *
 * It is closed after the store was freed, which tells what was under way.
 */
#ifndef MADANG_BACKPLANE_QUEUE_LOCAL_H
#define MADANG_BACKPLANE_QUEUE_LOCAL_H

#include "backplane/caused.h"
#include "backplane/store/store.h"

/* On the loop of the store's owner. NULL: no memory. */
struct queue_driver *queue_local_open(const struct queue_config *config, struct store *store,
                                      struct loop *loop, bool full);

/* Puts what a publication causes: within the task that stores it, on the store's thread. *added:
 * the job is new. Once that is told as committed, the driver is told of it, on its loop. */
enum err queue_local_cause(struct queue_driver *d, struct file *f, const struct caused *c,
                           bool *added);
void queue_local_caused(struct queue_driver *d, const struct caused *c);
/* … or that nobody knows whether it is. */
void queue_local_unknown(struct queue_driver *d);

#endif
