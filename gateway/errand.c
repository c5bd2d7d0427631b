/* SPDX-License-Identifier: MIT */
#include "gateway/errand.h"

#include "gateway/hub.h"

void errands_init(struct errands *w, struct inbox *in, uint32_t back_kind, struct hub *h)
{
    outbox_init(&w->to_hub, in->loop, hub_inbox(h));
    outbox_init(&w->back, h->loop, in);
    w->back_kind = back_kind;
}

void errands_flush(struct errands *w)
{
    outbox_flush(&w->to_hub);
}

void errand_send(struct errands *w, struct errand *e)
{
    e->way = w;
    e->entry.kind = HUB_ERRAND;
    e->entry.weight = 0;
    outbox_post(&w->to_hub, &e->entry);
}

void errand_end(struct errand *e)
{
    struct outbox *back = &e->way->back;

    e->entry.kind = e->way->back_kind;
    outbox_post(back, &e->entry);
    outbox_flush(back);
}

void errand_run(struct hub *h, struct entry *entry)
{
    struct errand *e = container_of(entry, struct errand, entry);

    e->run(h, e);
}

void errand_take_back(struct entry *entry)
{
    struct errand *e = container_of(entry, struct errand, entry);

    e->done(e);
}
