/* SPDX-License-Identifier: MIT */
/* seq_private.h: what the sequencer's files share.
 *
 *   sequencer.c     subscriptions, what is published, fills
 *   seq_publish.c   publications on their way into the driver, and back
 *   seq_read.c      what is asked of a room without being in it
 *   seq_users.c     who comes and goes, orders
 *   seq_claims.c     how many connections users have elsewhere
 *   seq_rates.c     what users and addresses do elsewhere
 *   seq_control.c   orders of all gateways
 *   seq_signal.c    what is never stored
 *   seq_follow.c    followers
 *   seq_survey.c    rooms of other gateways
 *   seq_moderate.c  what moderators decide
 */
#ifndef MADANG_BACKPLANE_SEQ_PRIVATE_H
#define MADANG_BACKPLANE_SEQ_PRIVATE_H

#include "backplane/base/loop.h"
#include "backplane/ledger.h"
#include "backplane/pace.h"
#include "backplane/queue_desk.h"
#include "backplane/seq_claims.h"
#include "backplane/seq_control.h"
#include "backplane/seq_presence.h"
#include "backplane/seq_rates.h"
#include "backplane/seq_room.h"
#include "backplane/seq_survey.h"
#include "backplane/sequencer.h"
#include "backplane/users.h"

enum purpose { FOR_SUBSCRIBE, FOR_HISTORY, FOR_FILL, FOR_CONTROL, FOR_SURVEY };

struct sequencer {
    struct actor actor;
    bool stopped; /* see sequencer_stop */
    struct loop *loop;
    struct inbox inbox;
    struct sequencer_config config;
    struct driver *driver;
    struct seq_rooms rooms;
    struct users users;
    struct seq_claims claims;
    struct ledger ledger;
    struct seq_rates rates;
    struct sanctions sanctions;
    struct pace pace;
    struct queue_desk *queues;
    struct seq_control control;
    struct seq_shared shared;
    struct seq_survey survey;
    struct list listings; /* struct request_rooms, first come, first served */
    uint32_t asked;       /* presence requests that had to wait; wraps */
    struct port ports[HUBS_MAX];
    struct sequencer_counters counters;
};

static inline void seq_answer(struct sequencer *s, struct request *r, enum err e)
{
    r->error = e;
    port_answer(&s->ports[r->hub], r);
}

static inline struct seq_room *seq_room_of(struct stream_ref *ref)
{
    return container_of(ref, struct seq_room, ref);
}

static inline void seq_begin_read(struct sequencer *s, struct stream_read *r, struct seq_room *room)
{
    room->limits = r->limits;
    r->room = &room->ref;
    s->driver->ops->read(s->driver, r);
}

/* One push to a hub; false: it did not get it. */
bool seq_push(struct sequencer *s, struct interest *in, struct msg *m);
/* Something that is in no stream did not get to the hub. */
void seq_lose(struct sequencer *s, struct interest *in);
/* What is never stored, to whoever is there now, on all gateways. */
void seq_on_signal(struct sequencer *s, struct request *r);
void seq_signalled(void *owner, struct stream_ref *ref, struct span what, struct span text);
void seq_on_publish(struct sequencer *s, struct request *r);
void seq_committed(void *owner, struct commit *c);
void seq_on_history(struct sequencer *s, struct request *r);
void seq_history_read(struct sequencer *s, struct stream_read *r);
void seq_on_presence(struct sequencer *s, struct request *r);
/* Answers those who had to wait for the subscribes that have been served now, and had asked before
 * the question of that number came. */
void seq_answer_presence(struct sequencer *s, struct interest *in, uint32_t before);
void seq_on_remove(struct sequencer *s, struct request *r);
void seq_removed(void *owner, struct stream_removal *r);
void seq_on_redact(struct sequencer *s, struct request *r);
void seq_redacted(void *owner, struct stream_redaction *r);
void seq_on_follow(struct sequencer *s, struct request *r);
void seq_followed(void *owner, struct follow *f);
void seq_on_arrive(struct sequencer *s, struct request *r);
void seq_on_depart(struct sequencer *s, struct request *r);
void seq_on_spend(struct sequencer *s, struct request *r);
void seq_on_gateways(struct sequencer *s, struct request *r);
void seq_on_rooms(struct sequencer *s, struct request *r);
void seq_on_backup(struct sequencer *s, struct request *r);
void seq_on_rules(struct sequencer *s, struct request *r); /* seq_publish.c */

/* What moderators have decided. An error, and words for it (`why` may be NULL), if `who` may not
 * enter the room or ask about it; say anything in it; publish there now, which is counted. An empty
 * room: this gateway at all. */
enum err seq_refuse_entry(const struct sequencer *s, struct span who, struct span room, char **why);
enum err seq_refuse_words(const struct sequencer *s, struct span who, struct span room, char **why);
enum err seq_refuse_publication(struct sequencer *s, struct request_publish *p);
char *seq_words_for_wait(uint64_t ms); /* NULL: no memory, and no words */
void seq_on_control(struct sequencer *s, struct request *r);
void seq_on_sanction(struct sequencer *s, struct request *r);
void seq_on_sanctions(struct sequencer *s, struct request *r);
void seq_on_pace(struct sequencer *s, struct request *r);
void seq_moderate_turn(struct sequencer *s); /* ends what is over */
/* What was decided, here or on another gateway, holds from now on. */
enum err seq_sanction(struct sequencer *s, const struct sanction *what, bool lift);
enum err seq_slow_down(struct sequencer *s, struct span room, uint64_t interval_ms);
void seq_forget_decisions(struct sequencer *s); /* all of them, to be told anew */

/* The others were asked, or could not be: goes on with what is here. */
void seq_rooms_surveyed(struct sequencer *s, struct request_rooms *q, enum err e);
bool seq_room_is_listed(const struct seq_room *room, struct span pattern);
/* Goes on with the listings, a slice; true if there is more to do. */
bool seq_list_rooms(struct sequencer *s);

#endif
