/* SPDX-License-Identifier: MIT */
/* records.h: what is kept beside streams, by name, as rows of the database file.
 *
 * Only who has the file calls these, within a transaction. Spans are the caller's; those that are
 * told are good until the teller returns. Errors are ERR_INTERNAL.
 */
#ifndef MADANG_BACKPLANE_STORE_RECORDS_H
#define MADANG_BACKPLANE_STORE_RECORDS_H

#include "backplane/base/span.h"
#include "backplane/store/file.h"

enum err records_put(struct file *f, struct span stream, struct span name, struct span data);
enum err records_erase(struct file *f, struct span stream, struct span name);

/* Tells all of them, and erases those of which `told` says false. */
enum err records_each(struct file *f,
                      bool (*told)(void *owner, struct span stream, struct span data), void *owner);

#endif
