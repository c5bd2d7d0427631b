/* SPDX-License-Identifier: MIT */
/* job_publish.h: a publication that a job asks for, made by a hub, which has the rules of rooms.
 *
 * The job's data is {"channel":"…","data":…}. A job of the queue QUEUE_CLIENTS carries besides who
 * submitted it, {"user":"…","info":ClientInfo}, written by the gateway: bans, mutes and the rules
 * of the room are looked at again, as they are now. Other jobs come from the operator's side, and
 * are published as the server API would do it.
 *
 * The job's id is the idempotency key, so that a job that is done twice is one publication.
 */
#ifndef MADANG_GATEWAY_JOB_PUBLISH_H
#define MADANG_GATEWAY_JOB_PUBLISH_H

#include "backplane/base/buf.h"
#include "backplane/base/err.h"
#include "gateway/errand.h"
#include "gateway/held.h"

/* Sent with job_publish_run(). */
struct job_publish {
    struct errand errand;
    const struct held *job; /* borrowed, not touched meanwhile */
    /* answer */
    enum err error;
    const char *why; /* static, or `words`; NULL: the error says all */
    char *words;     /* to be freed */
    uint64_t offset; /* in the stream; 0: there is none */
};

void job_publish_run(struct hub *h, struct errand *e);

#endif
