/* SPDX-License-Identifier: MIT */
/* ledger.h: what users and addresses have done lately, on all hubs together. Belongs to the
 * sequencer.
 *
 * Hubs do not ask before, they report what was done, in portions (gateway/party.h); the answer says
 * how long nothing more may be done. What is reported beyond the allowance is owed.
 *
 * An account is there until it is full again, for then it says nothing. There are at most so many;
 * past that, of those longest untouched, the one that owes least is given up, so that a flooder is
 * not forgiven because it makes up names or addresses.
 */
#ifndef MADANG_BACKPLANE_LEDGER_H
#define MADANG_BACKPLANE_LEDGER_H

#include "backplane/request.h"

#define LEDGER_MAX 65536

struct account;

struct ledger {
    struct account *map;
    struct list touched; /* the one longest untouched first */
    uint32_t count, max;
};

void ledger_init(struct ledger *l, uint32_t max);
void ledger_deinit(struct ledger *l);

/* Books q->spent and fills in q->wait_ms. Out of memory nothing is booked. */
void ledger_spend(struct ledger *l, struct request_spend *q, uint64_t now_ms);

#endif
