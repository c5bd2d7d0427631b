/* SPDX-License-Identifier: MIT */
/* ledger.h: what users and addresses have done lately, on all hubs together. Belongs to the
 * sequencer.
 *
 * Hubs do not ask before, they report what was done, in portions (gateway/party.h); the answer says
 * how long nothing more may be done. What is reported beyond the allowance is owed.
 *
 * An account is there until it is full again, for then it says nothing. There are at most so many;
 * past that, of some that were not touched lately, the one that owes least is given up, so that a
 * flooder is not forgiven because it makes up names or addresses.
 *
 * Where gateways share it, an account is one of all of them: what was done here is stated to the
 * others as hubs report it here, in portions, a 32nd of what is allowed at once, and what is learnt
 * from them is owed here too. What is less than a portion is nobody else's knowledge.
 */
#ifndef MADANG_BACKPLANE_LEDGER_H
#define MADANG_BACKPLANE_LEDGER_H

#include "backplane/request.h"

#define LEDGER_MAX 65536

struct account;

/* What was done here and not stated yet. */
struct statement {
    uint64_t name[2]; /* of the account, the same on all gateways */
    uint64_t key[2];  /* … and here */
    struct allowance allowed[RATES];
    uint64_t spent[RATES];
};

struct ledger {
    struct account *map;
    struct list touched; /* the one longest neither touched nor looked at first */
    struct list to_state;
    uint32_t count, max;
    bool shared;
};

void ledger_init(struct ledger *l, uint32_t max, bool shared);
void ledger_deinit(struct ledger *l);

/* Books q->spent and fills in q->wait_ms. Out of memory nothing is booked. */
void ledger_spend(struct ledger *l, struct request_spend *q, uint64_t now_ms);

/* The next one that is due; it counts as stated. False: none is. */
bool ledger_state(struct ledger *l, struct statement *out);
/* What was done on all gateways, that statement included: in how many ns it has all come back. */
void ledger_learn(struct ledger *l, const struct statement *of, const uint64_t full_in_ns[RATES],
                  uint64_t now_ms);

#endif
