/* SPDX-License-Identifier: MIT */
/* personal.h: the room that belongs to a user: `#` and the user id, in the namespace that the
 * options name. */
#ifndef MADANG_GATEWAY_PERSONAL_H
#define MADANG_GATEWAY_PERSONAL_H

#include "backplane/base/buf.h"
#include "gateway/options.h"

/* Appends its name. False: no memory. */
bool personal_room_name(const struct options *o, struct span user, struct buf *name);

/* Whether nobody but the user gets into the room of that name. */
bool personal_room_is_private(const struct options *o, struct span name);

#endif
