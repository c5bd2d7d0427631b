/* SPDX-License-Identifier: MIT */
#include "backplane/base/bucket.h"

#define NS_PER_MS UINT64_C(1000000)

__extension__ typedef unsigned __int128 wide; /* amount times nanoseconds does not fit into 64 */

static uint64_t period_ns(struct allowance a)
{
    return (a.period_ms ? a.period_ms : 1) * NS_PER_MS;
}

/* In how long n come back, rounded up so that many small takes are no cheaper than a large one. */
static uint64_t cost_ns(struct allowance a, uint64_t n)
{
    uint64_t most = a.amount * (1 + BUCKET_DEBT) + 1; /* more makes no difference */
    if (most > a.amount && n > most)
        n = most;
    return (uint64_t)(((wide)n * period_ns(a) + a.amount - 1) / a.amount);
}

/* From when on what is taken now comes back. */
static uint64_t start_ns(const struct bucket *b, struct allowance a, uint64_t now_ns)
{
    uint64_t latest = now_ns + period_ns(a) * (1 + BUCKET_DEBT);
    uint64_t at = b->full_ns > now_ns ? b->full_ns : now_ns;
    return at < latest ? at : latest;
}

bool bucket_take(struct bucket *b, struct allowance a, uint64_t n, uint64_t now_ms)
{
    uint64_t now = now_ms * NS_PER_MS;
    if (!a.amount)
        return true;
    uint64_t full = start_ns(b, a, now) + cost_ns(a, n);
    if (full > now + period_ns(a))
        return false;
    b->full_ns = full;
    return true;
}

bool bucket_charge(struct bucket *b, struct allowance a, uint64_t n, uint64_t now_ms)
{
    uint64_t now = now_ms * NS_PER_MS;
    if (!a.amount)
        return true;
    uint64_t latest = now + period_ns(a) * (1 + BUCKET_DEBT);
    uint64_t full = start_ns(b, a, now) + cost_ns(a, n);
    b->full_ns = full < latest ? full : latest;
    return b->full_ns <= now + period_ns(a);
}

uint64_t bucket_wait_ms(const struct bucket *b, struct allowance a, uint64_t n, uint64_t now_ms)
{
    uint64_t now = now_ms * NS_PER_MS;
    if (!a.amount)
        return 0;
    uint64_t cost = cost_ns(a, n);
    if (cost > period_ns(a))
        cost = period_ns(a);
    uint64_t full = start_ns(b, a, now) + cost;
    uint64_t over = full > now + period_ns(a) ? full - now - period_ns(a) : 0;
    return (over + NS_PER_MS - 1) / NS_PER_MS;
}
