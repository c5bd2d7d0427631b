/* SPDX-License-Identifier: MIT */
/* seq_presence.h: members of rooms, and the gateways that have them.
 *
 * Each gateway keeps the members that it has in memory. Where the driver is shared it tells the
 * driver too, as they come and go, and nobody waits for that: a subscribe goes on without. What
 * fails is made good later: the room is *unsure*, and what the driver has of this gateway there is
 * compared with what there is. Members live as long as the lease of their gateway, which is renewed
 * by a beat; whoever finds a gateway dead buries it, which tells those who stay.
 *
 * Of a room in which somebody wants to hear who comes and goes there is a *roster* of all members
 * on all gateways. When signals may have been missed it is *stale*: it is read, and the difference
 * told.
 */
#ifndef MADANG_BACKPLANE_SEQ_PRESENCE_H
#define MADANG_BACKPLANE_SEQ_PRESENCE_H

#include "backplane/base/buf.h"
#include "backplane/base/loop.h"
#include "backplane/base/msg.h"
#include "backplane/driver.h"

#define LEASE_MS 12000 /* of a gateway */
#define BEAT_MS  3000

struct sequencer;
struct seq_room;
struct client_info;
struct request_presence;

struct seq_shared {
    struct list unsure, stale; /* struct seq_room */
    uint32_t comparing;        /* of these, under way */
    struct timer beat;
    struct buf others; /* what the other gateways told of themselves: `,{…},{…}` */
    bool beating, burying, closing;
    bool again; /* another beat is to follow the one under way */
    bool look;  /* somebody waits for what the next one shows */
};

void seq_shared_open(struct sequencer *s);
void seq_shared_close(struct sequencer *s); /* before the driver stops */
void seq_shared_returned(struct sequencer *s);
/* A beat at once; what it shows is told by seq_survey_seen(). */
void seq_look_around(struct sequencer *s);

/* A member of this gateway came or went; others are told if the driver is shared. */
void seq_entered(struct sequencer *s, struct seq_room *room, const struct client_info *client,
                 bool announce);
void seq_left(struct sequencer *s, struct seq_room *room, const struct client_info *client);
/* Tells those on this gateway. */
void seq_announce(struct sequencer *s, struct seq_room *room, enum msg_kind kind,
                  const struct client_info *client);
/* The same of a member elsewhere. */
void seq_heard_of(struct sequencer *s, struct seq_room *room, struct span info, bool came);
/* Whether somebody here wants to hear of joins and leaves. */
void seq_roster_wanted(struct sequencer *s, struct seq_room *room, bool wanted);
/* Answers; the room may be NULL. */
void seq_tell_presence(struct sequencer *s, const struct seq_room *room,
                       struct request_presence *p);

void seq_presence_doubt_all(struct sequencer *s, bool ours);
void seq_presence_go_on(struct sequencer *s);

#endif
