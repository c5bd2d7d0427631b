/* SPDX-License-Identifier: MIT */
/* metrics_queues.h: what queues hold, as a part of the text of metrics. */
#ifndef MADANG_GATEWAY_METRICS_QUEUES_H
#define MADANG_GATEWAY_METRICS_QUEUES_H

#include "backplane/base/buf.h"
#include "backplane/queue_gauges.h"

/* Appends a group of lines per metric. The numbers are those of the look before; see
 * queue_gauges.h. */
void metrics_queues(struct buf *b, struct queue_gauges *w);

#endif
