/* SPDX-License-Identifier: MIT */
#include "rooms/rules.h"

#include "backplane/base/utf8.h"

#include <string.h>

/* The part of a room's name that names its namespace; empty if there is none. */
static struct span namespace_of(struct span room)
{
    if (room.n && room.p[0] == '$')
        room = (struct span){room.p + 1, room.n - 1};
    const char *end = room.n ? memchr(room.p, ':', room.n) : NULL;
    return (struct span){room.p, end ? (size_t)(end - room.p) : 0};
}

/* True at a control character: U+0000-001F and U+007F, or U+0080-009F as C2 80 to C2 9F. */
static bool is_control(const unsigned char *p, const unsigned char *end)
{
    return *p < 0x20 || *p == 0x7F || (*p == 0xC2 && p + 1 < end && p[1] < 0xA0);
}

const struct room_rules *rules_of(const struct rules *r, struct span room)
{
    struct span name = namespace_of(room);
    for (size_t i = 0; i < r->count; i++)
        if (span_eq(span_str(r->list[i].name), name))
            return &r->list[i];
    return NULL;
}

enum err room_name_check(struct span room, size_t max_bytes)
{
    const unsigned char *p = (const unsigned char *)room.p, *end = p + room.n;
    if (room.n > max_bytes || !utf8_valid(room))
        return ERR_BAD_REQUEST;
    for (; p < end; p++)
        if (is_control(p, end))
            return ERR_BAD_REQUEST;
    return OK;
}
