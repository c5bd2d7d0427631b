/* SPDX-License-Identifier: MIT */
/* connecting.h: a connect that puts the session into rooms.
 *
 * Its reply tells the position of every room, so it can leave only when all have answered; but from
 * the answer of one room on, what is published there belongs to the session. Until the reply
 * leaves, pushes are held back behind it, bounded as the output queue is. Commands wait meanwhile.
 * There is a deadline, after which it leaves without the rooms that have not answered, and so it
 * does where a room cannot be had for now: those follow by pushes (gateway/later.h).
 *
 * Exists from the first request to the reply. Belongs to the hub's thread.
 */
#ifndef MADANG_GATEWAY_CONNECTING_H
#define MADANG_GATEWAY_CONNECTING_H

#include "gateway/session.h"
#include "gateway/token.h"

/* The session is known (s->client): puts it into the rooms of the token (NULL: none), its personal
 * room, and those of `subs`, an object of the connect command, or absent. Then, or at once,
 * replies. */
void connecting_begin(struct session *s, uint32_t id, const struct token *token, struct span subs);

/* What came back for one of them, from answered_subscribe(): its result, or an error. */
void connecting_answered(struct session *s, struct span room, struct span result);
void connecting_failed(struct session *s, enum err e, bool optional);

/* The user may have this connection too; or an error. */
void connecting_counted(struct session *s, enum err e);

/* A push before the reply. */
void connecting_hold(struct session *s, struct msg *frame);

void connecting_drop(struct session *s); /* harmless without one */

/* An error in place of the reply: the connection is of no use any more; the client is to close it,
 * else it is cut. */
void connect_refuse(struct session *s, uint32_t id, enum err e);

/* Whether a newer token grants exactly the rooms that the session is in by its token. */
bool same_rooms(struct session *s, const struct token *token);

#endif
