/* SPDX-License-Identifier: MIT */
/* stream_reply.h: a reply that quotes stored publications, encoded as it is sent.
 *
 * head + publication {, publication} + tail. The publications are references to the room's
 * messages, so fifteen thousand clients that recover at once share one copy.
 */
#ifndef MADANG_GATEWAY_STREAM_REPLY_H
#define MADANG_GATEWAY_STREAM_REPLY_H

#include "backplane/base/buf.h"
#include "backplane/base/msg.h"

struct stream_reply {
    struct buf head, tail;
    struct msg **pubs; /* owned references */
    size_t count;
    /* progress */
    size_t part; /* 0 head, 1 … count publications, count + 1 tail */
    size_t at;   /* bytes of the part already taken */
    size_t taken;
};

/* Takes over pubs; head and tail start empty. NULL: no memory (pubs are dropped). */
struct stream_reply *stream_reply_new(struct msg **pubs, size_t count);
void stream_reply_free(struct stream_reply *r);
size_t stream_reply_bytes(const struct stream_reply *r); /* of the whole text */

/* Writes the next fragment, a complete frame of at most cap bytes, into `to`; returns its size.
 * *last tells that nothing follows. */
size_t stream_reply_fragment(struct stream_reply *r, char *to, size_t cap, bool *last);

#endif
