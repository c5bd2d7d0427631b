/* SPDX-License-Identifier: MIT */
/* serve_worker.h: the worker within a gateway, on a thread of its own.
 *
 * It does the jobs of _webhook, and those of _publish, _clients and _notify with the help of a hub;
 * see job_publish.h and notify.h. All functions are main's.
 *
 * Made before any thread starts, begun when the gateway serves, told to stop when the gateway does;
 * the hubs' and the sequencer's threads run until it has stopped.
 */
#ifndef MADANG_GATEWAY_SERVE_WORKER_H
#define MADANG_GATEWAY_SERVE_WORKER_H

#include "backplane/base/inbox.h"

#include <stdbool.h>

struct gateway;
struct serve_worker;

/* `stopped` is posted to main when nothing is held any more. *out is NULL if none is wanted, or
 * there are no queues. False: it could not be made, which was logged. */
bool serve_worker_open(struct serve_worker **out, struct gateway *g, struct inbox *main,
                       struct entry *stopped);
bool serve_worker_run(struct serve_worker *w); /* starts the thread; false: it cannot */
void serve_worker_begin(struct serve_worker *w);
/* It gives back what it cannot finish within the time that the options say; `now`: what it has not
 * finished already. */
void serve_worker_stop(struct serve_worker *w, bool now);
void serve_worker_join(
    struct serve_worker *w); /* the thread ends; it has stopped, or never began */
/* After the sequencer was stopped, and before it is freed. NULL is fine. False: something was left
 * open. */
bool serve_worker_free(struct serve_worker *w);

#endif
