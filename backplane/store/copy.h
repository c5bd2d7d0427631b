/* SPDX-License-Identifier: MIT */
/* copy.h: a copy of a store's file that is being made, in slices, while the file is in use.
 *
 * It is made through the file's only connection, between transactions. What is committed after a
 * page was copied is copied again by SQLite, so that in the end the copy has all that was committed
 * up to its last slice. A copy is marked: who opens it as a store begins a new generation (see
 * file_generation()), since what the original does from then on is not in it.
 *
 * Nothing is synced here. Used by the thread that uses the file.
 */
#ifndef MADANG_BACKPLANE_STORE_COPY_H
#define MADANG_BACKPLANE_STORE_COPY_H

#include "backplane/store/file.h"

struct copy;

/* Makes the file at `path`, for its owner only, and begins to copy into it. NULL: `why` says why,
 * and there is no file; it may have been there before, and is as it was. */
struct copy *copy_new(struct file *f, const char *path, char why[FILE_WHY_MAX]);

enum copy_state { COPY_MORE, COPY_WHOLE, COPY_FAILED };

/* Copies for about so long, and at most so many bytes; between transactions only. Once it is whole
 * or has failed, only copy_free() is left; `why` says why it failed. */
enum copy_state copy_step(struct copy *c, uint64_t budget_us, size_t max_bytes,
                          char why[FILE_WHY_MAX]);

uint64_t copy_bytes(const struct copy *c);      /* of the file, as it is now */
uint64_t copy_bytes_done(const struct copy *c); /* of these */

/* Before the file is closed. A copy that is not whole is removed. NULL is fine. */
void copy_free(struct copy *c);

#endif
