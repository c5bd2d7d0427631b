/* SPDX-License-Identifier: MIT */
/* copier.h: the backup that the store's thread has under way.
 *
 * It is made in slices of less than a ms between transactions, which are not held up by more than
 * that. What was written is synced on a thread of libuv every few MiB, and no more is written until
 * that is done: so a backup is as fast as its disk, and a commit on the same disk never waits
 * behind all of it.
 */
#ifndef MADANG_BACKPLANE_STORE_COPIER_H
#define MADANG_BACKPLANE_STORE_COPIER_H

#include "backplane/base/loop.h"
#include "backplane/store/backup.h"
#include "backplane/store/file.h"

struct copy;
struct copy_sync;

enum copier_step { COPIER_IDLE, COPIER_COPYING, COPIER_SYNCING, COPIER_ENDED };

struct copier {
    struct loop *loop;
    enum copier_step step;
    bool closed;
    struct copy *copy;
    struct copy_sync *sync; /* under way */
    char *path;
    int fd;
    size_t unsynced; /* bytes */
    uint64_t bytes, copied;
    struct timer unasked;
    enum err error; /* how it ended … */
    char why[FILE_WHY_MAX];
};

void copier_init(struct copier *c, struct loop *loop);

/* Answers; the file may be NULL. */
void copier_ask(struct copier *c, struct file *f, struct backup *b);

/* A slice, between transactions. True: there is more to do at once. */
bool copier_turn(struct copier *c);

/* The file is about to be closed: what is under way has failed. */
void copier_give_up(struct copier *c, const char *why);

/* The same, and nothing is begun any more. The loop still has to be run to its end. */
void copier_close(struct copier *c);

#endif
