/* SPDX-License-Identifier: MIT */
/* identity.h: who a connecting client is.
 *
 * guest:    `connect.data` may hold {"guest":{"key":K,"name":N}}, either of them or both. A key
 *           of 16 to 256 bytes makes the user id: `g_` + 26 base32 characters of SHA-256 over a
 *           label and the key, so that nobody can take over another guest. Without a key the id is
 *           random, for this connection only.
 *           conn_info is {"name":N}, built here: at most 64 code points, without control
 *           characters, without what changes the direction of text and without what cannot be
 *           seen; nothing left of it: no conn_info. Never what the client claims otherwise.
 * insecure: everybody is "", and may do everything. For tests and load runs.
 */
#ifndef MADANG_GATEWAY_IDENTITY_H
#define MADANG_GATEWAY_IDENTITY_H

#include "backplane/base/buf.h"
#include "backplane/base/err.h"
#include "gateway/options.h"

struct identity {
    struct buf user;      /* UTF-8, may be empty */
    struct buf conn_info; /* JSON, or empty: none */
};

/* data: the `data` of the connect command, one valid JSON value, or absent. ERR_BAD_REQUEST if it
 * holds a `guest` that is not as above (*why says in static words what is wrong); ERR_INTERNAL: out
 * of memory. *out is filled on success only, and is to be deinitialised then. */
enum err identify(enum auth_mode mode, struct span data, struct identity *out, const char **why);
void identity_deinit(struct identity *i); /* a zeroed one is fine */

/* Whether a user id is, or could be taken for, that of a guest. */
bool identity_is_guest(struct span user);

/* 36 characters of a random UUID (version 4) into out, not terminated. */
void random_uuid(char out[36]);

#endif
