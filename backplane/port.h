/* SPDX-License-Identifier: MIT */
/* port.h: a hub as the sequencer sees it, and a room's interest in it. The sequencer's. */
#ifndef MADANG_BACKPLANE_PORT_H
#define MADANG_BACKPLANE_PORT_H

#include "backplane/request.h"

struct port {
    struct outbox out;
    bool behind;            /* pushes are left out until the hub has sent `drained` back */
    struct request drained; /* travels to the hub as HUB_BEHIND and back */
    struct list missed;     /* struct interest: rooms to be filled for this hub */
};

/* What a room knows of one hub. */
struct interest {
    struct list missed;  /* in port.missed while publications were left out */
    struct list waiting; /* subscribes that wait, in the order of their tickets */
    struct list asking;  /* request_presence: behind subscribes that were asked for before */
    struct seq_room *room;
    void *handle;         /* the hub's room */
    uint32_t members;     /* of this hub; 0: the hub does not have the room */
    uint32_t listeners;   /* of these, who want join/leave */
    struct position sent; /* the last publication posted */
    uint32_t tickets;     /* given to subscribes, which are served in this order … */
    uint32_t served;      /* … up to here */
    bool filling;         /* a read for it is under way */
    bool lost;            /* something that no stream holds was left out */
};

/* Pushes go past the hub: it is to be filled, or being filled. */
static inline bool interest_left_out(const struct interest *in)
{
    return in->filling || list_linked(&in->missed);
}

void port_init(struct port *p, struct loop *loop, struct inbox *hub, uint8_t index);

/* Answers a request. */
static inline void port_answer(struct port *p, struct request *r)
{
    outbox_post(&p->out, &r->entry);
}

/* Posts one push for a room; false: no memory or no room in the inbox, the hub did not get it.
 * The first refusal for want of room makes the port behind. */
bool port_push(struct port *p, void *handle, struct msg *m, size_t max_backlog);

/* Tells the hub that a room lost publications; false: no memory. */
bool port_insufficient(struct port *p, void *handle);

/* A subscribe whose read came too early waits, in the order in which it was asked for. */
void interest_postpone(struct interest *in, struct request_subscribe *sub);
struct request_subscribe *interest_resume(struct interest *in); /* the first of them; NULL: none */

#endif
