/* SPDX-License-Identifier: MIT */
/* rate.h: what clients do that is limited per time, and for whom it is counted together.
 *
 * The user without a name is not one user: only addresses and sessions are limited then.
 */
#ifndef MADANG_BACKPLANE_RATE_H
#define MADANG_BACKPLANE_RATE_H

/* Sessions have no bounds of their own from RATE_CONNECTS on. */
enum rate { RATE_COMMANDS, RATE_PUBLISHES, RATE_BYTES, RATE_CONNECTS, RATE_JOBS, RATES };

enum scope { SCOPE_SESSION, SCOPE_USER, SCOPE_ADDRESS, SCOPES };

/* Words for the log and for metrics. */
static inline const char *rate_word(enum rate r)
{
    static const char *const words[RATES] = {"commands", "publishes", "bytes", "connects", "jobs"};
    return words[r];
}

static inline const char *scope_word(enum scope s)
{
    static const char *const words[SCOPES] = {"session", "user", "address"};
    return words[s];
}

#endif
