/* SPDX-License-Identifier: MIT */
#include "gateway/personal.h"

bool personal_room_name(const struct options *o, struct span user, struct buf *name)
{
    if (*o->personal_room_namespace)
        buf_fmt(name, "%s:", o->personal_room_namespace);
    buf_char(name, '#');
    if (!buf_reserve(name, user.n * 3))
        return false;
    name->n += room_encode_user(user, name->p + name->n);
    return true;
}

bool personal_room_is_private(const struct options *o, struct span name)
{
    const struct room_rules *r = rules_of(&o->rules, name);
    return r && room_is_limited(r, name);
}
