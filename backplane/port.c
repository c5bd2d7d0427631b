/* SPDX-License-Identifier: MIT */
#include "backplane/port.h"

#include <stdlib.h>

void port_init(struct port *p, struct loop *loop, struct inbox *hub, uint8_t index)
{
    *p = (struct port){0};
    outbox_init(&p->out, loop, hub);
    list_init(&p->missed);
    p->drained.hub = index;
}

static void fall_behind(struct port *p)
{
    p->behind = true;
    p->drained.entry.kind = HUB_BEHIND;
    p->drained.entry.weight = 0;
    outbox_post(&p->out, &p->drained.entry);
}

static bool post(struct port *p, uint32_t kind, void *handle, struct msg *m)
{
    struct push_entry *e = malloc(sizeof(*e));
    if (!e)
        return false;
    *e = (struct push_entry){.handle = handle, .msg = m ? msg_ref(m) : NULL};
    e->entry.kind = kind;
    e->entry.weight = m ? m->len + (uint32_t)sizeof(*e) : 0;
    outbox_post(&p->out, &e->entry);
    return true;
}

bool port_push(struct port *p, void *handle, struct msg *m, size_t max_backlog)
{
    if (p->behind)
        return false;
    if (outbox_backlog(&p->out) > max_backlog) {
        fall_behind(p);
        return false;
    }
    return post(p, HUB_PUSH, handle, m);
}

bool port_insufficient(struct port *p, void *handle)
{
    return post(p, HUB_INSUFFICIENT, handle, NULL);
}

static struct request_subscribe *subscribe_of(struct list *n)
{
    struct operation *o = container_of(n, struct operation, link);
    return container_of(container_of(o, struct stream_read, operation), struct request_subscribe,
                        read);
}

void interest_postpone(struct interest *in, struct request_subscribe *sub)
{
    struct list *at = in->waiting.prev; /* nearly always its place */
    while (at != &in->waiting && (int32_t)(subscribe_of(at)->ticket - sub->ticket) > 0)
        at = at->prev;
    list_push(at->next, &sub->read.operation.link);
}

struct request_subscribe *interest_resume(struct interest *in)
{
    struct list *n = list_shift(&in->waiting);
    return n ? subscribe_of(n) : NULL;
}
