/* SPDX-License-Identifier: MIT */
/* roster.h: who is in a room on all gateways, as far as it was heard, so that what was missed can
 * be found out and told. Belongs to the sequencer.
 *
 * Joins and leaves arrive one by one, and some are missed. Now and then the truth is read. While it
 * is being read more may arrive, which is newer than what is read, or says the same.
 */
#ifndef MADANG_BACKPLANE_ROSTER_H
#define MADANG_BACKPLANE_ROSTER_H

#include "backplane/base/span.h"

#include <stdint.h>

struct roster;

struct roster *roster_new(void); /* NULL: no memory */
void roster_free(struct roster *r);

/* Somebody came (`info`, a ClientInfo) or went (absent). `own`: through this gateway, which knows
 * better than what is read. False: no memory, the roster is of no use any more. */
bool roster_put(struct roster *r, struct span id, struct span info, bool own);
bool roster_take(struct roster *r, struct span id);
uint32_t roster_count(const struct roster *r);

/* The truth is going to be read. */
void roster_read_begun(struct roster *r);
/* It is: id, ClientInfo, …. Calls `told` for everybody who came or went unheard. False: no
 * memory. */
bool roster_read(struct roster *r, const struct span *list, size_t n,
                 void (*told)(void *owner, struct span info, bool came), void *owner);
/* It could not be read. */
void roster_read_failed(struct roster *r);

#endif
