/* SPDX-License-Identifier: MIT */
#include "gateway/close.h"

#include <assert.h>

#define CLOSE_OPCODE        0x88 /* FIN and opcode 8 */
#define CODE_BYTES          2
#define CONTROL_PAYLOAD_MAX 125 /* RFC 6455 5.5; so the header is 2 bytes */

#define CLOSE_CHECK(sym, code, text, flush)                                                        \
    static_assert(sizeof(text) > 1 && sizeof(text) - 1 + CODE_BYTES <= CONTROL_PAYLOAD_MAX,        \
                  "the text of " #sym " is empty or does not fit into a control frame");
CLOSE_LIST(CLOSE_CHECK)
#undef CLOSE_CHECK

static const struct close_info infos[CLOSE_REASONS] = {
#define CLOSE_INFO(sym, code, text, flush) [sym] = {text, code, flush},
    CLOSE_LIST(CLOSE_INFO)
#undef CLOSE_INFO
};

const struct close_info *close_info(enum close_reason r)
{
    assert((unsigned)r < CLOSE_REASONS);
    return &infos[r];
}

struct msg *close_frame_with(unsigned code, struct span text)
{
    const char bytes[CODE_BYTES] = {(char)(code >> 8), (char)(code & 0xFF)};
    assert(text.n && text.n <= CLOSE_TEXT_MAX);
    struct msg *m = msg_new(CODE_BYTES + text.n);
    if (!m)
        return NULL;
    msg_add(m, bytes, CODE_BYTES);
    msg_add(m, text.p, text.n);
    msg_seal(m);
    /* Sealing makes a text frame; the two kinds differ in the first byte only. */
    m->bytes[MSG_HEADROOM - m->head] = (char)CLOSE_OPCODE;
    return m;
}

struct msg *close_frame(enum close_reason r)
{
    return close_frame_of(r, span_str(close_info(r)->text));
}

struct msg *close_frame_of(enum close_reason r, struct span text)
{
    return close_frame_with(close_info(r)->code, text);
}
