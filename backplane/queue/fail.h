/* SPDX-License-Identifier: MIT */
/* fail.h: the queue driver that does nothing: each operation ends with ERR_NOT_AVAILABLE. For a
 * gateway without anything that could keep jobs, and for what a driver cannot do.
 */
#ifndef MADANG_QUEUE_FAIL_H
#define MADANG_QUEUE_FAIL_H

#include "backplane/queue/queue.h"

struct loop;

struct queue_driver *queue_fail_new(const struct queue_config *config,
                                    struct loop *loop); /* NULL: no memory */

#endif
