/* SPDX-License-Identifier: MIT */
/* sequencer.h: the one place in a gateway that decides (or learns) the order of every room.
 *
 * An actor: with one hub it lives on the hub's loop, with more it has a loop of its own; the code
 * is the same. It owns every room's position, presence and list of interested hubs, and the driver.
 * It never blocks. Hubs talk to it through their outboxes and hear from it through their inboxes:
 * a hub gets a gapless FIFO of pushes per room, or one HUB_INSUFFICIENT.
 *
 * A hub whose inbox holds more than a bound is *behind*: pushes for it are left out, and when it
 * has handled what it had, each room is filled from the stream. A subscribe that arrives meanwhile
 * waits for the fill, so that its position never lies ahead of what the hub's other subscribers
 * have seen.
 */
#ifndef MADANG_BACKPLANE_SEQUENCER_H
#define MADANG_BACKPLANE_SEQUENCER_H

#include "backplane/base/counter.h"
#include "backplane/queue/queue.h"
#include "backplane/request.h"

#define HUBS_MAX 64
#define JOIN_LEAVE_MEMBERS_MAX                                                                     \
    1000 /* in larger rooms nobody is told who comes and goes: it grows with the square */

struct loop;
struct queue_desk;
struct sequencer;

struct sequencer_config {
    const struct driver_ops *driver;
    const void *driver_settings; /* see struct driver_config */
    size_t max_stream_bytes;
    size_t hub_inbox_bytes; /* of pushes waiting for one hub */
    uint32_t max_rooms;     /* remembered; idle ones are forgotten first, and when all are in use:
                               ERR_LIMIT */
    /* Appends what this gateway tells of itself, a JSON object; from the sequencer's thread. May be
     * NULL. */
    void (*describe)(void *owner, struct buf *b);
    /* Called once, from the sequencer's thread or in sequencer_new: sessions may come. NULL is
     * fine. */
    void (*opened)(void *owner);
    uint64_t patience_ms; /* so long what others have ordered is waited for; see seq_control.h */
    void *owner;
    const char *node;         /* tells this gateway from all others; borrowed */
    uint32_t max_sanctions;   /* bans and mutes; and so many rooms in slow mode */
    uint64_t notify_delay_ms; /* so long after a publication it is looked who is away and is to be
                                 told, by a job that the publication causes; 0: nobody is told */
    struct queue_rules notify_rules; /* of the queue of these jobs */
};

/* Any thread may read them. `bans`, from everywhere, is there before the order to disconnect the
 * user leaves: who connects where that order has been carried out finds that there are bans. */
struct sequencer_counters {
    counter sanctions, bans, slow_rooms;
    counter rooms, occupied, stream_bytes, commits, publications, repeats, behind, fills;
    counter insufficient;
    counter recalls;          /* times all sessions were told to come again */
    counter gateways;         /* that are alive, this one included; 0: the driver is not shared */
    counter presence_refused; /* members that others do not see, for want of their memory */
    counter accounts;         /* of users and addresses, whose rates are limited */
    counter open;             /* 1: sessions may come */
    counter alone;            /* connections let in without knowing what their user has elsewhere */
};

/* Made on any thread before its loop runs. *out is filled on success only. */
enum err sequencer_new(struct sequencer **out, struct loop *loop,
                       const struct sequencer_config *config);
/* The driver lets go of its servers, and opens no more connections. Its loop has stopped. */
void sequencer_stop(struct sequencer *s);
void sequencer_free(struct sequencer *s); /* its loop has stopped, every request has come back */

/* Introduces a hub before any loop runs; returns its index. */
uint8_t sequencer_add_hub(struct sequencer *s, struct inbox *hub);

struct inbox *sequencer_inbox(struct sequencer *s);

/* Where the queues are asked; see queue_desk.h. Windows are opened before any loop runs, and closed
 * between sequencer_stop() and sequencer_free(). */
struct queue_desk *sequencer_queues(struct sequencer *s);

/* For its counters and the names of its parts; any thread. */
const struct driver *sequencer_driver(const struct sequencer *s);
const struct sequencer_counters *sequencer_counters(const struct sequencer *s);

#endif
