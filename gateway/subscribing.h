/* SPDX-License-Identifier: MIT */
/* subscribing.h: from the decision that a session may be in a room to the answer.
 *
 * For what a client asks for and for what its connection's token grants alike. A subscription that
 * the client did not ask for and that cannot be had for now stays with its session, pending, and is
 * asked for again; then, as when its answer comes after the reply to connect, a push tells of it.
 * Belongs to the hub's thread.
 */
#ifndef MADANG_GATEWAY_SUBSCRIBING_H
#define MADANG_GATEWAY_SUBSCRIBING_H

#include "backplane/control.h"
#include "gateway/session.h"
#include "gateway/token.h"

/* What is wanted. Spans are borrowed for the call. */
struct wish {
    struct span channel, epoch, delta;
    uint64_t offset;
    bool recover, refuse_unrecovered;
    bool positioned, recoverable, join_leave;
    uint32_t max_bytes; /* of what is recovered */
    /* what a token adds */
    struct span info, data;
    struct overrides override;
    int64_t expires_s;
    bool server_side;
    bool granted;          /* by the connection's token */
    bool optional;         /* connecting goes on without it */
    struct control *order; /* the server API wants it; NULL: not so */
};

/* Attaches a subscription and asks the sequencer; id: of the command to be answered. */
enum err subscribe(struct session *s, uint32_t id, const struct room_rules *r,
                   const struct wish *w);

/* Asks once more for one that could not be had (gateway/later.h). */
void subscribe_again(struct subscription *sub);
void subscribing_drop(struct subscription *sub); /* it is not to be asked for any more; harmless */

#endif
