/* SPDX-License-Identifier: MIT */
/* party.h: users and addresses whose rates are limited, as one hub knows them.
 *
 * A party may have sessions on all hubs. The sequencer keeps its account (backplane/ledger.h); a
 * hub counts what its own sessions do and reports it in portions, a 64th of what is allowed at
 * once, so that most commands ask nobody. The answer says how long nothing more is allowed, and
 * then the hub refuses by itself. Between report and answer more may be done; that is owed.
 *
 * A party is there as long as its sessions, as its report is under way, and as it is told to wait:
 * who comes back meanwhile is not served the sooner. Of the last kind there are at most
 * PARTIES_WAITING. Belongs to the hub's thread.
 */
#ifndef MADANG_GATEWAY_PARTY_H
#define MADANG_GATEWAY_PARTY_H

#include "backplane/base/list.h"
#include "backplane/base/span.h"
#include "backplane/base/wheel.h"
#include "backplane/rate.h"

#include <stdbool.h>
#include <stdint.h>

#define PARTIES_WAITING 4096

struct hub;
struct party;

/* Of one hub. */
struct parties {
    struct party *map[SCOPES];
    struct list waiting; /* without sessions; in the order in which they lost the last */
    uint32_t waiting_count;
    uint32_t reports; /* under way; the hub does not end before they are back */
    struct timer sweep;
};

void parties_init(struct parties *ps);
void parties_deinit(struct parties *ps); /* no session has one, no report is under way */

/* One reference. NULL: no memory; then nothing is counted. */
struct party *party_hold(struct hub *h, enum scope scope, struct span name);
void party_release(struct hub *h, struct party *p); /* NULL is fine */

/* The party has done n; false: it may not, and nothing is counted. NULL may do anything. */
bool party_does(struct hub *h, struct party *p, enum rate rate, uint64_t n);
/* The same with what cannot be refused any more. */
void party_did(struct hub *h, struct party *p, enum rate rate, uint64_t n);

/* Its sessions on this hub are in one room more, or less; in how many they are. NULL: in none. */
void party_enters(struct party *p);
void party_leaves(struct party *p);
uint32_t party_rooms(const struct party *p);

/* Whether it is told to wait, if anybody on this hub knows it. */
bool party_must_wait(struct hub *h, enum scope scope, struct span name, enum rate rate);

#endif
