/* SPDX-License-Identifier: MIT */
/* seq_control.h: orders that all gateways are to hear of: a stream like that of a room, in which
 * nothing may be missed.
 *
 * Where the driver is shared, an order is committed to the stream, and carried out by every gateway
 * when it comes from there, by the one that gave it, too: so all carry them out in one order. It
 * is answered when it stands in the stream and, unless that takes too long, has been carried out
 * here. Where the driver is not shared nobody else is to hear of it: then there is no stream, and
 * only what is decided for longer is committed, to be kept, and carried out when that is done.
 *
 * A gateway knows first where the stream ends and what is in force, and then has sessions
 * (sequencer_counters.open). If that takes too long it has them before, and recalls them when it
 * knows.
 *
 * What the stream does not tell any more may have concerned anybody here. Then all sessions are to
 * come again (CONTROL_RECALL), and who may not is refused then. What is decided for longer (bans,
 * mutes, slow mode) is kept beside the stream, one record each, and read anew after each outage;
 * by a driver that is not shared when it is opened.
 */
#ifndef MADANG_BACKPLANE_SEQ_CONTROL_H
#define MADANG_BACKPLANE_SEQ_CONTROL_H

#include "backplane/base/buf.h"
#include "backplane/base/loop.h"
#include "backplane/driver.h"

/* Its name; no room's, since these have no control characters. */
#define CONTROL_STREAM "\tcontrol"
/* Orders are kept so long, and so many; an outage that lasts longer recalls everybody. */
#define CONTROL_KEPT_MS    (24 * 3600 * UINT64_C(1000))
#define CONTROL_KEPT       100000
#define CONTROL_KEPT_BYTES (64 * 1024 * 1024)

struct control;
struct request;
struct sequencer;

struct seq_control {
    struct stream_ref ref;
    struct stream_read read;
    bool reading;                /* … is under way */
    bool started;                /* it is known where the stream ends */
    bool known;                  /* … and what is in force */
    bool mending;                /* the driver lost the thread; the read finds it again, or not */
    bool recollecting, outdated; /* records are being read; are to be read, then or again */
    bool watching, closing;
    struct position at;
    uint64_t last[2];    /* a hash of the order there */
    struct list unheard; /* struct given: committed, not come from the stream yet */
    struct timer timer, patience;
    uint64_t count; /* of orders given here */
};

enum err seq_control_open(struct sequencer *s);
void seq_control_close(struct sequencer *s);  /* before the driver stops */
void seq_control_forget(struct sequencer *s); /* after it has */
void seq_control_returned(struct sequencer *s);

/* An order to be given: its text, and the name of the record that it is kept as, or erases. */
struct decision {
    struct buf text, record;
    bool erase;
};
void seq_control_id(struct sequencer *s, struct buf *id); /* a new one */
/* The request is answered; the decision is used up. */
void seq_control_give(struct sequencer *s, struct request *r, struct decision *d);

void seq_post_control(struct sequencer *s, struct control *c); /* to the hubs */

/* What the driver tells of the stream. */
bool seq_control_is(const struct sequencer *s, const struct stream_ref *ref);
void seq_control_published(struct sequencer *s, struct msg *m, const struct position *at);
bool seq_control_recorded(void *owner, struct span stream, struct span data);
void seq_control_lost(struct sequencer *s, const struct position *top);
void seq_control_committed(struct sequencer *s, struct commit *c);
void seq_control_read(struct sequencer *s, struct stream_read *r);

#endif
