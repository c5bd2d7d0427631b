/* SPDX-License-Identifier: MIT */
/* msg.h: one push, encoded once, shared by every subscriber and every thread.
 *
 * A msg is built by one thread (msg_new, append, msg_seal) and is immutable and
 * atomically reference-counted from then on: the only object that crosses
 * threads without changing owner. It holds the JSON text of one push with
 * head-room for the WebSocket header (RFC 6455 5.2) in front, so that it is a
 * ready frame; inside the text it remembers where the publication object lies,
 * so that history and recovery can quote it without encoding it again.
 */
#ifndef MADANG_BASE_MSG_H
#define MADANG_BASE_MSG_H

#include "backplane/base/span.h"

#include <stdatomic.h>
#include <stdint.h>

#define MSG_HEADROOM 10 /* largest unmasked WebSocket header */
#define MSG_DATA_AT  8  /* bytes of `{"data":`, with which a publication begins */

struct msg {
    _Atomic uint32_t refs;
    uint32_t cap;    /* bytes of text that fit */
    uint32_t len;    /* bytes of text */
    uint32_t pub_at; /* publication object within the text; pub_len 0: not a publication */
    uint32_t pub_len;
    uint32_t data_len; /* of the publication's data, which follows `{"data":` */
    uint8_t head;     /* bytes of WebSocket header, right-aligned before the text; 0 until sealed */
    uint8_t kind;     /* enum msg_kind */
    bool delta;       /* may be sent as what changed, to those who asked for it */
    bool quiet;       /* has the tag `quiet`: nobody has to read it */
    uint64_t offset;  /* 0: no stream */
    uint64_t time_ms; /* server's wall clock at commit */
    char bytes[];     /* MSG_HEADROOM, then the text */
};

enum msg_kind { MSG_PUBLICATION, MSG_JOIN, MSG_LEAVE, MSG_OTHER };

/* A message with room for cap bytes of text and one reference, owned by the caller; NULL: no
 * memory. */
struct msg *msg_new(size_t cap);
struct msg *msg_ref(struct msg *m);
void msg_unref(struct msg *m); /* NULL is fine */

/* Appending to an unsealed message; the caller reserved enough (asserted). */
void msg_add(struct msg *m, const void *p, size_t n);
void msg_add_u64(struct msg *m, uint64_t v);
#define msg_lit(m, literal) msg_add((m), "" literal, sizeof(literal) - 1)

/* Writes the WebSocket text-frame header in front of the text. The message is immutable
 * afterwards. */
void msg_seal(struct msg *m);

static inline struct span msg_text(const struct msg *m)
{
    return (struct span){m->bytes + MSG_HEADROOM, m->len};
}

static inline struct span msg_frame(const struct msg *m)
{
    return (struct span){m->bytes + MSG_HEADROOM - m->head, (size_t)m->len + m->head};
}

static inline struct span msg_pub(const struct msg *m)
{
    return (struct span){m->bytes + MSG_HEADROOM + m->pub_at, m->pub_len};
}

static inline struct span msg_data(const struct msg *m)
{
    return (struct span){m->bytes + MSG_HEADROOM + m->pub_at + MSG_DATA_AT, m->data_len};
}

/* Writes the header of an unmasked text frame of `len` bytes so that it ends at `end`; returns
 * its size. */
size_t ws_header(char *end, uint64_t len);

#endif
