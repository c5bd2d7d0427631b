/* SPDX-License-Identifier: MIT */
/* redis_servers.h: the set of servers that share the rooms, as they store it themselves, and its
 * change. For a program that waits: everything in here blocks, within the deadlines of the links.
 *
 * A change is safe in this order, whatever breaks off in between; done again it goes on:
 *
 *   1. every server of the new set is asked which set it belongs to: the new one, or the old one
 *   2. from each, rooms are removed that the old set keeps elsewhere. They are left over from an
 *      earlier set, and would come back with an old epoch
 *   3. what the first server keeps for all is copied, if another one is the first from now on
 *   4. each stores the new set; servers that are new to it first
 *   5. followers of rooms that the new set keeps elsewhere go along, also from the server that was
 *      removed, if it can still be asked
 *
 * From 4 on gateways of the old set find it changed, within a second, and serve no rooms. A room
 * that moved begins a new epoch on its new server, so whoever was in it is told; the others go on
 * where they are.
 */
#ifndef MADANG_BACKPLANE_REDIS_SERVERS_H
#define MADANG_BACKPLANE_REDIS_SERVERS_H

#include "backplane/redis.h"

enum servers_change { SERVERS_ADD, SERVERS_REMOVE };

/* Appends a line for each server: its name, address, and the set that it belongs to. False: some
 * cannot be reached; `report` has a line for each. */
bool redis_servers_show(const struct redis_settings *s, struct buf *text, struct buf *report);

struct servers_wish {
    enum servers_change change;
    const char *name;                  /* who was added or removed */
    const struct redis_member *leaves; /* REMOVE: how it is reached; NULL: it is lost */
};

/* Makes `s`, the servers as they are to be from now on, the set of each. Appends to `text` what was
 * done. False: `report` says what is wrong; nothing was changed unless it says so. */
bool redis_servers_change(const struct redis_settings *s, const struct servers_wish *wish,
                          struct buf *text, struct buf *report);

#endif
