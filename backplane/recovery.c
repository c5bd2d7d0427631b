/* SPDX-License-Identifier: MIT */
#include "backplane/recovery.h"

static bool same_epoch(const struct request_subscribe *sub)
{
    return memcmp(sub->since.epoch, sub->read.top.epoch, EPOCH_MAX) == 0;
}

static bool at_the_top(const struct request_subscribe *sub)
{
    return sub->since.offset == sub->read.top.offset;
}

static bool by_the_newest(struct request_subscribe *sub)
{
    if (!at_the_top(sub) || !same_epoch(sub))
        return sub->read.count != 0;
    stream_read_deinit(&sub->read);
    return true;
}

static bool by_all(const struct request_subscribe *sub)
{
    const struct stream_read *r = &sub->read;
    if (sub->since.epoch[0] && !same_epoch(sub))
        return false;
    if (!r->count)
        return at_the_top(sub);
    return r->pubs[0]->offset == sub->since.offset + 1 &&
           r->pubs[r->count - 1]->offset == r->top.offset;
}

bool recovered(struct request_subscribe *sub)
{
    return sub->newest_only ? by_the_newest(sub) : by_all(sub);
}
