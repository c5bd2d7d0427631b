/* SPDX-License-Identifier: MIT */
#include "rooms/rules.h"

#include "backplane/base/hex.h"
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

/* ---- rooms for certain users ---- */

static struct span users_of(struct span room)
{
    const char *mark = room.n ? memrchr(room.p, '#', room.n) : NULL;
    if (!mark)
        return (struct span){0};
    return (struct span){mark + 1, (size_t)(room.p + room.n - mark - 1)};
}

bool room_is_limited(const struct room_rules *r, struct span room)
{
    return r->allow_user_limited_channels && users_of(room).p;
}

/* The next byte of an encoded id; a % with no two digits behind it stands for itself. */
static char next_byte(struct span *text)
{
    const char *p = text->p;
    bool coded = p[0] == '%' && text->n >= 3 && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0;
    size_t used = coded ? 3 : 1;
    *text = (struct span){p + used, text->n - used};
    return coded ? (char)(hex_value(p[1]) << 4 | hex_value(p[2])) : p[0];
}

static bool is_user(struct span text, struct span user)
{
    size_t i = 0;
    for (; text.n && i < user.n; i++)
        if (next_byte(&text) != user.p[i])
            return false;
    return text.n == 0 && i == user.n;
}

bool room_is_for(struct span room, struct span user)
{
    struct span rest = users_of(room);
    while (rest.p && user.n) {
        const char *comma = rest.n ? memchr(rest.p, ',', rest.n) : NULL;
        size_t n = comma ? (size_t)(comma - rest.p) : rest.n;
        if (is_user((struct span){rest.p, n}, user))
            return true;
        rest = comma ? (struct span){comma + 1, rest.n - n - 1} : (struct span){0};
    }
    return false;
}

size_t room_encode_user(struct span user, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < user.n; i++) {
        unsigned char c = (unsigned char)user.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     (c && strchr("!$&'()*+-./;=?@_|~", c));
        if (plain) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '%';
        out[n++] = digits[c >> 4];
        out[n++] = digits[c & 15];
    }
    return n;
}
