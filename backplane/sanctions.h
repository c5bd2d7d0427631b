/* SPDX-License-Identifier: MIT */
/* sanctions.h: who may not do what, where, until when, and why.
 *
 * A ban keeps a user out, a mute keeps it from publishing: in one room, or everywhere. There is at
 * most one of a kind per user and place; a newer one takes its place. A sanction ends at its time
 * by itself. Belongs to the sequencer, which every command passes; while there are none, asking
 * costs a comparison, and else one look-up for users without any.
 *
 * Held in memory here; putting and lifting are all that a copy elsewhere has to follow.
 */
#ifndef MADANG_BACKPLANE_SANCTIONS_H
#define MADANG_BACKPLANE_SANCTIONS_H

#include "backplane/base/err.h"
#include "backplane/base/list.h"
#include "backplane/base/span.h"

#include <stdint.h>

enum sanction_kind { SANCTION_BAN, SANCTION_MUTE, SANCTION_KINDS };

struct sanction {
    enum sanction_kind kind;
    struct span user;
    struct span room;   /* empty: everywhere */
    struct span reason; /* in words for the user; may be empty */
    uint64_t until_ms;  /* wall clock; 0: until it is lifted */
};

struct offender;

struct sanctions {
    struct offender *offenders;
    struct list ends; /* those with an end, the earliest first */
    uint32_t count, max;
    uint32_t everywhere; /* of these, bans from everywhere */
};

void sanctions_init(struct sanctions *s, uint32_t max);
void sanctions_deinit(struct sanctions *s);

/* Copies it. ERR_LIMIT: there are as many as there may be; ERR_INTERNAL: no memory. */
enum err sanctions_put(struct sanctions *s, const struct sanction *what);
void sanctions_lift(struct sanctions *s, enum sanction_kind kind, struct span user,
                    struct span room); /* harmless if there is none */

/* One that holds for the user in the room, be it everywhere; NULL: none. An empty room asks for
 * everywhere only. Good until the next call that changes anything. */
const struct sanction *sanctions_find(const struct sanctions *s, enum sanction_kind kind,
                                      struct span user, struct span room, uint64_t now_ms);

/* Forgets those whose time is over. */
void sanctions_expire(struct sanctions *s, uint64_t now_ms);

/* Calls `each` with all of a kind, until it returns false. Empty user or room: whichever. */
void sanctions_each(const struct sanctions *s, enum sanction_kind kind, struct span user,
                    struct span room, bool (*each)(void *owner, const struct sanction *what),
                    void *owner);

#endif
