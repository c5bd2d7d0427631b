/* SPDX-License-Identifier: MIT */
/* backup.h: asking for a copy of a store.
 *
 * The first ask begins it, later ones with the same path say how far it is, and the one that is
 * told of the end is the last. Who stops asking for BACKUP_PATIENCE_MS does not want it any more.
 * There is one at a time.
 */
#ifndef MADANG_BACKPLANE_STORE_BACKUP_H
#define MADANG_BACKPLANE_STORE_BACKUP_H

#include "backplane/base/err.h"
#include "backplane/base/inbox.h"

#include <stdbool.h>

#define BACKUP_PATIENCE_MS 30000
#define BACKUP_WHY_MAX     512

/* Belongs to who is asked until `done`, which is called exactly once, on the asker's loop. */
struct backup {
    struct entry entry;
    const char *path; /* absolute; nothing may be there at the first ask */
    bool cancel;      /* it is not wanted any more */
    void (*done)(struct backup *b);
    void *owner;
    /* answer */
    enum err error; /* there is no backup, and no file of it; `why` says why */
    char why[BACKUP_WHY_MAX];
    bool finished;          /* it is whole, and on the disk */
    uint64_t bytes, copied; /* of the store; of these */
};

#endif
