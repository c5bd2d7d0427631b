/* SPDX-License-Identifier: MIT */
/* ws_kit.h: what a gateway sends, taken apart and checked as RFC 6455 wants it. */
#ifndef MADANG_TESTS_UNIT_WS_KIT_H
#define MADANG_TESTS_UNIT_WS_KIT_H

#include "backplane/base/buf.h"

enum ws_opcode { WS_CONTINUATION = 0, WS_TEXT = 1, WS_CLOSE = 8 };

struct ws_frame {
    bool fin;
    unsigned opcode;
    struct span payload;
};

/* Takes the next frame off `bytes`; false: it is not a whole unmasked frame with the shortest
 * possible header. */
static inline bool ws_next(struct span *bytes, struct ws_frame *f)
{
    const unsigned char *p = (const unsigned char *)bytes->p;
    if (bytes->n < 2 || p[0] & 0x70 || p[1] & 0x80)
        return false;
    size_t more = p[1] < 126 ? 0 : p[1] == 126 ? 2 : 8;
    if (bytes->n < 2 + more)
        return false;
    uint64_t len = more ? 0 : p[1];
    for (size_t i = 0; i < more; i++)
        len = len << 8 | p[2 + i];
    if ((more == 2 && len < 126) || (more == 8 && len <= UINT16_MAX))
        return false;
    if (len > bytes->n - 2 - more)
        return false;
    *f = (struct ws_frame){p[0] >> 7, p[0] & 0xF, {bytes->p + 2 + more, (size_t)len}};
    bytes->p += 2 + more + len;
    bytes->n -= 2 + more + (size_t)len;
    return true;
}

/* Puts messages together. */
struct ws_reader {
    struct buf message;
    bool open; /* a message has begun and not ended */
};

enum ws_step { WS_BAD, WS_MORE, WS_MESSAGE, WS_CLOSED };

/* One frame. WS_MESSAGE: `message` is whole, until the next call; WS_CLOSED: it holds the payload
 * of a close frame. */
static inline enum ws_step ws_step(struct ws_reader *r, struct span *bytes)
{
    struct ws_frame f;
    if (!r->open)
        buf_clear(&r->message);
    if (!ws_next(bytes, &f))
        return WS_BAD;
    if (f.opcode == WS_CLOSE) {
        buf_clear(&r->message); /* may come within a message, which then never ends */
        buf_span(&r->message, f.payload);
        return f.fin && f.payload.n >= 2 && f.payload.n < 126 ? WS_CLOSED : WS_BAD;
    }
    if (f.opcode != (r->open ? WS_CONTINUATION : WS_TEXT))
        return WS_BAD;
    buf_span(&r->message, f.payload);
    r->open = !f.fin;
    return f.fin ? WS_MESSAGE : WS_MORE;
}

#endif
