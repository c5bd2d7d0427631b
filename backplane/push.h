/* SPDX-License-Identifier: MIT */
/* push.h: the JSON text of a push.
 *
 * A publication is encoded in two steps, so that its bytes are copied once:
 * the hub that received it writes everything known then (push_open), and the
 * driver adds offset and time when they are decided (push_close).
 *
 *   {"push":{"channel":"c","pub":{"data":…,"info":{…}      push_open
 *   ,"offset":7,"tags":{"t":"1700000000000"}}}}            push_close
 */
#ifndef MADANG_BACKPLANE_PUSH_H
#define MADANG_BACKPLANE_PUSH_H

#include "backplane/base/buf.h"
#include "backplane/base/msg.h"

/* Opens a publication with one reference for the caller. `data` is valid JSON; `info` is a
 * ClientInfo object or absent; `tags` is the inside of a JSON object of strings (`"a":"b"`), with
 * no white space between them, or absent. Raw CR and LF between tokens of `data` are left out.
 * NULL: no memory. */
struct msg *push_open(struct span room, struct span data, struct span info, struct span tags);

/* Finishes and seals it. offset 0: no stream. time_ms 0: no time is stamped. */
void push_close(struct msg *m, uint64_t offset, uint64_t time_ms);

/* What an open publication is made of: spans into it. */
struct push_parts {
    struct span data, info, tags; /* tags: the inside of the object; absent ones are empty */
};
struct push_parts push_parts(const struct msg *open);

/* The text of a sealed publication up to its offset, which it has: an object without its end. */
struct span push_members(const struct msg *m);

/* The text of a push of this room up to its publication. */
void push_head(struct buf *b, struct span room);

/* The push of a publication that was kept outside of this process: behind such a head, the object
 * without its offset, which begins with `{"data":`. Anyone may have written it: what is no such
 * object is shown as `{"data":null}`, and *well is false. Sealed. NULL: no memory. */
struct msg *push_kept(struct span head, struct span object, uint64_t offset, bool *well);

/* What stands in a stream in the place of a publication that was redacted, the same for all but its
 * offset: `{"data":{"type":"redacted"},"offset":7}`. Sealed. */
struct msg *push_tombstone(struct span room, uint64_t offset);

/* A join or leave of the client that `info` describes. Sealed. */
struct msg *push_presence(enum msg_kind kind, struct span room, struct span info);

/* An unsubscribe push: code and reason are always both sent, clients rely on it. Sealed. */
struct msg *push_unsubscribe(struct span room, unsigned code, struct span reason);

#endif
