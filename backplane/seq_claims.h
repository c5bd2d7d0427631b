/* SPDX-License-Identifier: MIT */
/* seq_claims.h: how many connections users have on all gateways together.
 *
 * Where the driver is shared, it keeps for each user how many connections each gateway has, which
 * end with the gateway's lease. Who comes waits for a *claim*: one call that says how many there
 * are here and how many more are wanted, and is answered how many these may be. One claim of a user
 * is under way at a time; what came meanwhile goes with the next. Who goes is told by a claim too,
 * and nobody waits for that. Since a claim says what there is, and not what has changed, it may be
 * lost or come twice.
 *
 * Of a user who is to have one connection only, claims are numbered, and the highest number stays.
 * Gateways that have older ones are told by a signal, and when they may have missed one they ask.
 *
 * While the driver fails, or takes longer than CLAIM_MS, this gateway alone decides. What the
 * driver has of the user is then *unsure*, and claimed anew as soon as it can be.
 */
#ifndef MADANG_BACKPLANE_SEQ_CLAIMS_H
#define MADANG_BACKPLANE_SEQ_CLAIMS_H

#include "backplane/base/loop.h"
#include "backplane/request.h"

#define CLAIM_MS 1500 /* who comes waits no longer */
/* Users who are gone and of whom it is not sure that the driver knows it. Of more, it counts what
 * they had until they come again or this gateway's lease ends. */
#define CLAIMS_UNSURE_MAX 65536

struct sequencer;

struct seq_claims {
    struct list unsure;          /* struct user */
    struct list waiting;         /* struct request_arrive, who has waited longest first */
    uint32_t under_way, unsures; /* claims; users in the list */
    struct timer late;
    bool closing;
};

void seq_claims_open(struct sequencer *s);
void seq_claims_close(struct sequencer *s); /* before the driver stops */

void seq_claims_arrive(struct sequencer *s, struct request_arrive *a); /* is answered, later */
void seq_claims_depart(struct sequencer *s, struct request_depart *d);

/* A newer connection of a user is elsewhere: `NUMBER USER`. */
void seq_claims_outnumbered(struct sequencer *s, struct span text);
/* What the driver has is claimed anew: of all users, or of those who may have missed a signal. */
void seq_claims_doubt(struct sequencer *s, bool all);
void seq_claims_go_on(struct sequencer *s);

#endif
