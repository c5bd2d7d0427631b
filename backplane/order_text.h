/* SPDX-License-Identifier: MIT */
/* order_text.h: orders as they travel between gateways: JSON objects, told in docs/BACKPLANE.md.
 *
 * Anybody who can write to the backplane may have written one, so nothing of it is taken on trust;
 * members that are not known are left alone.
 */
#ifndef MADANG_BACKPLANE_ORDER_TEXT_H
#define MADANG_BACKPLANE_ORDER_TEXT_H

#include "backplane/base/buf.h"
#include "backplane/base/fields.h"
#include "backplane/control.h"
#include "backplane/sanctions.h"

enum order_kind {
    ORDER_CONTROL, /* to sessions */
    ORDER_SANCTION,
    ORDER_PACE, /* slow mode */
    ORDER_KINDS
};

/* One that was read. Its spans lie in the text or in the scratch memory. */
struct order {
    enum order_kind kind;
    enum control_op op; /* ORDER_CONTROL */
    struct span id, user, client, channel, reason;
    struct span whitelist, data, info, override, recover_since; /* JSON */
    struct span sanction;                                       /* "ban", "mute" */
    uint64_t code, until_ms, interval_ms;
    int64_t expire_at;
    bool sets_end, lift;
};

/* Each appends one object. `id` tells it from all others. */
void order_write_control(struct buf *b, struct span id, const struct control *c);
void order_write_sanction(struct buf *b, struct span id, const struct sanction *what, bool lift);
void order_write_pace(struct buf *b, struct span id, struct span room, uint64_t interval_ms);

/* ERR_METHOD_NOT_FOUND: an op that is not known; ERR_BAD_REQUEST: no order. */
enum err order_read(struct scratch *mem, struct span object, struct order *out);

/* What an ORDER_CONTROL is to the hubs. ERR_BAD_REQUEST: nothing that can be done. */
enum err order_control(const struct order *o, struct scratch *mem, uint32_t hubs,
                       struct control **out);
/* What an ORDER_SANCTION says; borrows from the order. */
enum err order_sanction(const struct order *o, struct sanction *out);

#endif
