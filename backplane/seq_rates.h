/* SPDX-License-Identifier: MIT */
/* seq_rates.h: what users and addresses do per time, on all gateways together.
 *
 * The ledger of each gateway has statements to make (ledger.h). Where the driver is shared they are
 * made some at a time, every SPEND_MS if there are any, and answered with what was done on all
 * gateways. One that fails is lost: meanwhile each gateway counts for itself.
 */
#ifndef MADANG_BACKPLANE_SEQ_RATES_H
#define MADANG_BACKPLANE_SEQ_RATES_H

#include "backplane/base/loop.h"

#define SPEND_MS 200

struct sequencer;

struct seq_rates {
    struct timer timer;
    bool stating, closing;
};

/* The ledger may have something to state. */
void seq_rates_go_on(struct sequencer *s);
void seq_rates_close(struct sequencer *s); /* before the driver stops */

#endif
