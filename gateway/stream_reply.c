/* SPDX-License-Identifier: MIT */
#include "gateway/stream_reply.h"

#include <stdlib.h>

#define OPCODE_TEXT         0x01
#define OPCODE_CONTINUATION 0x00
#define FIN                 0x80

struct stream_reply *stream_reply_new(struct msg **pubs, size_t count)
{
    struct stream_reply *r = calloc(1, sizeof(*r));
    if (!r) {
        for (size_t i = 0; i < count; i++)
            msg_unref(pubs[i]);
        free(pubs);
        return NULL;
    }
    r->pubs = pubs;
    r->count = count;
    return r;
}

void stream_reply_free(struct stream_reply *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        msg_unref(r->pubs[i]);
    free(r->pubs);
    buf_deinit(&r->head);
    buf_deinit(&r->tail);
    free(r);
}

size_t stream_reply_bytes(const struct stream_reply *r)
{
    size_t n = r->head.n + r->tail.n + (r->count ? r->count - 1 : 0);
    for (size_t i = 0; i < r->count; i++)
        n += r->pubs[i]->pub_len;
    return n;
}

/* The bytes of one part; a publication but the first begins with its comma, which `comma` tells. */
static struct span part_of(const struct stream_reply *r, bool *comma)
{
    *comma = r->part > 1 && r->part <= r->count;
    if (r->part == 0)
        return (struct span){r->head.p, r->head.n};
    if (r->part <= r->count)
        return msg_pub(r->pubs[r->part - 1]);
    return (struct span){r->tail.p, r->tail.n};
}

/* Copies from the current part; true if the part is finished. */
static bool copy_part(struct stream_reply *r, char **to, const char *end)
{
    bool comma;
    struct span s = part_of(r, &comma);
    if (comma && r->at == 0) {
        if (*to == end)
            return false;
        *(*to)++ = ',';
        r->at = 1;
    }
    size_t from = r->at - comma;
    size_t n = s.n - from;
    if (n > (size_t)(end - *to))
        n = (size_t)(end - *to);
    if (n)
        memcpy(*to, s.p + from, n);
    *to += n;
    r->at += n;
    return r->at == s.n + comma;
}

size_t stream_reply_fragment(struct stream_reply *r, char *to, size_t cap, bool *last)
{
    char header[MSG_HEADROOM];
    char *text = to + MSG_HEADROOM;
    char *at = text;
    while (r->part <= r->count + 1 && copy_part(r, &at, to + cap)) {
        r->part++;
        r->at = 0;
    }
    *last = r->part > r->count + 1;
    size_t n = (size_t)(at - text);
    size_t head = ws_header(header + sizeof(header), n);
    char *start = header + sizeof(header) - head;
    start[0] = (char)((r->taken ? OPCODE_CONTINUATION : OPCODE_TEXT) | (*last ? FIN : 0));
    r->taken += n;
    memcpy(to, start, head);
    memmove(to + head, text, n);
    return head + n;
}
