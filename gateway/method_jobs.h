/* SPDX-License-Identifier: MIT */
/* method_jobs.h: jobs of clients: the rpc methods jobs.submit, jobs.get, jobs.cancel.
 *
 * A client may have something published later in a room where it may publish now. Such jobs lie in
 * the queue QUEUE_CLIENTS, with the user in their key: each key is one of the places that a user
 * has, so nobody has more jobs than places, on all gateways together, and the jobs of others
 * cannot be seen or cancelled.
 */
#ifndef MADANG_GATEWAY_METHOD_JOBS_H
#define MADANG_GATEWAY_METHOD_JOBS_H

#include "gateway/session.h"

/* Each begins an answer, or returns an error to be replied. */
enum err jobs_submit(struct session *s, uint32_t id, struct span data);
enum err jobs_get(struct session *s, uint32_t id, struct span data);
enum err jobs_cancel(struct session *s, uint32_t id, struct span data);

#endif
