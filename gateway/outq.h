/* SPDX-License-Identifier: MIT */
/* outq.h: what waits for a session whose socket is full.
 *
 * References to sealed messages, and large replies, which are streamed: a head, references to
 * stored publications, a tail, sent as one WebSocket message in fragments, so that control frames
 * of the library may come between. Exists only while something waits. Belongs to the hub's thread.
 */
#ifndef MADANG_GATEWAY_OUTQ_H
#define MADANG_GATEWAY_OUTQ_H

#include "backplane/base/msg.h"
#include "gateway/stream_reply.h"

struct out_node;

struct outq {
    struct out_node *head, **end;
    size_t bytes;   /* of all that waits */
    size_t answers; /* of these, what answers the session's own commands */
};

struct outq *outq_new(void);
void outq_free(struct outq *q); /* drops what waits; NULL is fine */

/* Both append; false: no memory. A message is referenced; a reply is handed over (also on
 * failure). */
bool outq_add(struct outq *q, struct msg *m, bool answer, uint64_t now_ms);
bool outq_add_reply(struct outq *q, struct stream_reply *r, uint64_t now_ms);

/* Copies whole frames from the front into `to`, as many as fit into cap (at least SOCKET_TX), and
 * drops them from the queue. Returns the number of bytes; 0: the queue is empty. A message larger
 * than cap is returned by reference instead: *big, to be written and unreferenced by the caller. */
size_t outq_take(struct outq *q, uint64_t now_ms, char *to, size_t cap, struct msg **big);

bool outq_empty(const struct outq *q);
/* Since when the first of those waiting has not moved. */
uint64_t outq_oldest_ms(const struct outq *q);

#endif
