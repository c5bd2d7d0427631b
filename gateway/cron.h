/* SPDX-License-Identifier: MIT */
/* cron.h: jobs that are put again and again, at the times of a schedule.
 *
 * Every gateway looks at the time by itself. At each of its times, a *slot*, an entry's job is put
 * under a key made of the entry's name and the slot, which is taken for a while whether the job is
 * done or not. So however many gateways look, and however often one is restarted, a slot is one
 * job, and nothing has to be remembered but what the queue has anyway.
 *
 * A slot that could not be put (no gateway ran, the queue was full, Redis was away) is made up for
 * until it is older than the entry's catch_up; what is older is skipped, counted, and told in the
 * log. So are all but the newest CRON_CATCH_UP slots that are put at a time. If the oldest of these
 * was there at the first try, nothing was missed, and nothing is told. An entry that is new, or
 * changed, while the gateway runs begins then.
 *
 * It lives on main's loop, and reaches queues by a window of its own. It never blocks.
 */
#ifndef MADANG_GATEWAY_CRON_H
#define MADANG_GATEWAY_CRON_H

#include "backplane/queue_desk.h"
#include "gateway/settings.h"

#define CRON_CATCH_UP 64
/* A slot's key outlives catch_up by so much: clocks of gateways may differ by it. */
#define CRON_KEY_MARGIN_MS 3600000ULL

/* Any thread may read them. */
struct cron_counters {
    counter entries;
    counter fired;    /* slots of which this gateway put the job */
    counter repeated; /* … another one, or this one before a restart */
    counter skipped;  /* slots without a job */
    counter refused;  /* puts that were refused, or failed; tried again until catch_up is over */
};

struct cron;

struct cron_config {
    struct loop *loop;
    struct queue_desk *desk;
    uint64_t (*clock)(void); /* NULL: the wall clock */
};

/* Before any loop runs. Nothing is put yet. NULL: no memory, which was logged. */
struct cron *cron_new(const struct cron_config *config);
/* On the loop: from here on the entries of these options hold, of which it takes a reference. What
 * is under way for others is seen through. */
void cron_use(struct cron *c, struct settings *settings);
void cron_stop(struct cron *c); /* nothing is put any more */
/* When no loop runs any more, and the desk was stopped. NULL is fine. */
void cron_free(struct cron *c);

const struct cron_counters *cron_counters(const struct cron *c); /* NULL: all are 0 */

#endif
