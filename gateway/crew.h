/* SPDX-License-Identifier: MIT */
/* crew.h: a worker with its handlers, as the options want them. */
#ifndef MADANG_GATEWAY_CREW_H
#define MADANG_GATEWAY_CREW_H

#include "gateway/worker.h"

struct options;
struct buf;
struct crew;
struct errands;
struct queue_window;

#define QUEUE_PUBLISH "_publish" /* what applications want published, at a time */
#define QUEUE_CLIENTS "_clients" /* … and clients, by jobs.submit */
#define QUEUE_WEBHOOK "_webhook"

struct crew_config {
    struct loop *loop;
    struct job_source *source;     /* taken over, on success */
    const struct options *options; /* borrowed */
    struct handler *publish;       /* NULL: it publishes nothing; taken over, on success */
    struct errands *hub;           /* NULL: it tells nobody who is away; borrowed */
    struct queue_window *queues;   /* with hub; borrowed */
    bool exec;                     /* it may run the program that the options name */
};

/* NULL: `report` has a line that says why. */
struct crew *crew_new(const struct crew_config *c, struct buf *report);
/* It has stopped, or was never started. The loop settles afterwards. NULL is fine. */
void crew_free(struct crew *c);

void crew_start(struct crew *c); /* worker_start() */
/* For worker_stop(), _counters(). */
struct worker *crew_worker(const struct crew *c);
const struct notify_counters *crew_notify(const struct crew *c); /* NULL: nobody is told */

/* By what people see who holds a job: what the options say, or "host:process". */
#define CREW_NAME_MAX 65
void crew_name(const struct options *o, char name[CREW_NAME_MAX]);

#endif
