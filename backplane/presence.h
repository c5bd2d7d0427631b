/* SPDX-License-Identifier: MIT */
/* presence.h: who is in a room. Belongs to the sequencer. */
#ifndef MADANG_BACKPLANE_PRESENCE_H
#define MADANG_BACKPLANE_PRESENCE_H

#include "backplane/base/buf.h"
#include "backplane/base/err.h"
#include "backplane/base/list.h"
#include "backplane/client_info.h"

struct presence_user; /* a user and the number of its clients */

struct presence {
    struct list clients; /* struct present */
    uint32_t num_clients, num_users;
    struct presence_user *users;
};

/* One client's place; embedded in its membership. */
struct present {
    struct list link;
    const struct client_info *client;
};

void presence_init(struct presence *p);

/* ERR_INTERNAL: no memory, nothing changed. */
enum err presence_add(struct presence *p, struct present *who, const struct client_info *client);
void presence_remove(struct presence *p, struct present *who); /* harmless if absent */

/* Appends `{"id":ClientInfo,…}`; ERR_LIMIT if it would be longer than max_bytes. */
enum err presence_json(const struct presence *p, size_t max_bytes, struct buf *out);

#endif
