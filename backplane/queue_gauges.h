/* SPDX-License-Identifier: MIT */
/* queue_gauges.h: what queues hold, looked at now and then, for metrics.
 *
 * Looking costs an operation per queue, so it is done only when somebody has read the numbers
 * since, at most every two seconds: who reads sees how it was shortly after they were read before.
 * The first GAUGES_MAX queues by name are looked at.
 *
 * Lives on the driver's loop; the numbers may be read by any thread.
 */
#ifndef MADANG_BACKPLANE_QUEUE_GAUGES_H
#define MADANG_BACKPLANE_QUEUE_GAUGES_H

#include "backplane/base/counter.h"
#include "backplane/base/wheel.h"
#include "backplane/queue/queue.h"

#define GAUGES_MAX 64

struct loop;
struct queue_gauges;

/* One queue. The name is there before the place is counted, and stays. */
struct queue_gauge {
    struct queue_gauges *of;
    struct queue_stats stats; /* the loop's */
    struct queue_name name;
    counter number[QUEUE_NUMBER_COUNT];
    counter oldest_ms; /* see struct queue_stats */
    counter paused, draining;
};

struct queue_gauges {
    struct queue_gauge list[GAUGES_MAX];
    _Atomic size_t count;
    _Atomic bool wanted;
    /* the loop's */
    struct queue_driver *driver;
    struct loop *loop;
    struct timer timer;
    struct queue_names names;
    size_t asking; /* operations under way */
    bool stopped;
};

void queue_gauges_start(struct queue_gauges *w, struct queue_driver *d, struct loop *loop);
/* No further look is begun; one that is under way ends with the driver. */
void queue_gauges_stop(struct queue_gauges *w);

/* How many places are good to read; says that they are read. Any thread. */
size_t queue_gauges_read(struct queue_gauges *w);

#endif
