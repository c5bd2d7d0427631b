/* SPDX-License-Identifier: MIT */
#include "backplane/base/msg.h"

#include "backplane/base/buf.h"

#include <assert.h>
#include <stdlib.h>

#define WS_FIN_TEXT 0x81

struct msg *msg_new(size_t cap)
{
    if (cap > UINT32_MAX)
        return NULL;
    struct msg *m = malloc(sizeof(*m) + MSG_HEADROOM + cap);
    if (!m)
        return NULL;
    *m = (struct msg){.cap = (uint32_t)cap, .kind = MSG_OTHER};
    atomic_init(&m->refs, 1);
    return m;
}

struct msg *msg_ref(struct msg *m)
{
    /* Whoever copies a reference already holds one, so nothing needs ordering here. */
    uint32_t before = atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);

    assert(before > 0 && before < UINT32_MAX);
    return m;
}

void msg_unref(struct msg *m)
{
    if (!m)
        return;
    /* Release: this thread's reads are done. Acquire: the last one sees everybody's done. */
    uint32_t before = atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel);

    assert(before > 0);
    if (before == 1)
        free(m);
}

void msg_add(struct msg *m, const void *p, size_t n)
{
    assert(m->head == 0 && n <= m->cap - m->len);
    if (n == 0)
        return;
    memcpy(m->bytes + MSG_HEADROOM + m->len, p, n);
    m->len += (uint32_t)n;
}

void msg_add_u64(struct msg *m, uint64_t v)
{
    char digits[U64_TEXT_MAX];

    msg_add(m, digits, u64_text(digits, v));
}

void msg_seal(struct msg *m)
{
    assert(m->head == 0);
    m->head = (uint8_t)ws_header(m->bytes + MSG_HEADROOM, m->len);
}

size_t ws_header(char *end, uint64_t len)
{
    size_t extra = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8; /* bytes of extended length */
    char *head = end - extra - 2;

    head[0] = (char)WS_FIN_TEXT;
    head[1] = (char)(extra == 0 ? len : extra == 2 ? 126 : 127);
    for (size_t i = 0; i < extra; i++)
        end[-1 - (ptrdiff_t)i] = (char)(len >> (8 * i) & 0xFF);
    return extra + 2;
}
