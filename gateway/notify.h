/* SPDX-License-Identifier: MIT */
/* notify.h: the handler that tells an application who is away and has not read.
 *
 * A job is about one room: {"channel":"…"}. It says only that there may be something to tell, and
 * what that is is found out when it runs: whoever follows the room, has not read all of it and was
 * not told of it yet. Those who are connected nowhere go into one call, or into several of at most
 * NOTIFY_USERS_MAX, and are then remembered as told. While there are others, who are connected,
 * the job is asked for again before it is done, so that it comes back after the delay.
 *
 *     look ─▶ look … ─▶ call ─▶ tell ─▶ look …  ─▶ put again ─▶ done
 *
 * Right after the start nobody has had the time to come back, so for as long as the delay nothing
 * is looked at.
 *
 * A call is what webhook.h does for a job, by the same rules, but that one that is rejected is made
 * again as if it had failed: the next message would lead to it anyway. Its idempotency key is made
 * of what it says: one that is repeated unchanged has the same, whichever job repeats it.
 */
#ifndef MADANG_GATEWAY_NOTIFY_H
#define MADANG_GATEWAY_NOTIFY_H

#include "backplane/base/counter.h"
#include "gateway/handler.h"

#define NOTIFY_USERS_MAX 1000 /* of one call */

struct errands;
struct loop;
struct queue_window;

struct notify_config {
    struct loop *loop;
    struct handler *calls; /* a webhook handler; taken over, on success */
    const char *url;       /* borrowed */
    uint64_t delay_ms;
    struct errands *hub;         /* borrowed */
    struct queue_window *queues; /* borrowed */
};

/* Any thread may read them. A follower that is looked at goes into a call, or is … */
struct notify_counters {
    counter calls, failed;     /* that the target took, and did not take */
    counter told;              /* users in those that it took, once that is remembered */
    counter connected, banned; /* … left out, though there is something to tell it */
    counter nothing_new;       /* … has read all, or was told of it */
};

struct handler *notify_new(const struct notify_config *c); /* NULL: no memory */
void notify_start(struct handler *h);                      /* from now on people can come */
const struct notify_counters *notify_counters(const struct handler *h);

#endif
