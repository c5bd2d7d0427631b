/* SPDX-License-Identifier: MIT */
/* errand.h: what the worker's thread has a hub do, and hears back of.
 *
 * An errand is embedded by whoever wants something. It is the hub's from errand_send() until
 * errand_end(), which the hub's side calls once, then or later; after that `done` is called on the
 * thread that sent it. Neither side touches it in between.
 */
#ifndef MADANG_GATEWAY_ERRAND_H
#define MADANG_GATEWAY_ERRAND_H

#include "backplane/base/inbox.h"

struct hub;

/* The way between a thread and a hub. */
struct errands {
    struct outbox to_hub;
    struct outbox back; /* the hub's alone */
    uint32_t back_kind; /* of the entries that come back */
};

struct errand {
    struct entry entry;
    struct errands *way;
    void (*run)(struct hub *h, struct errand *e); /* on the hub's thread */
    void (*done)(struct errand *e);               /* on the sender's */
};

/* From a loop with the inbox `in` to a hub. Before either runs. */
void errands_init(struct errands *w, struct inbox *in, uint32_t back_kind, struct hub *h);
void errands_flush(struct errands *w); /* in the sender's flush */

/* `run` and `done` are set. */
void errand_send(struct errands *w, struct errand *e);
void errand_end(struct errand *e);

/* The entry that a hub finds in its inbox (HUB_ERRAND), and what the sender gets back. */
void errand_run(struct hub *h, struct entry *e);
void errand_take_back(struct entry *e);

#endif
