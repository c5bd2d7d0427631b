/* SPDX-License-Identifier: MIT */
/* facts.h: what a Redis server says of itself (INFO), as far as we care.
 *
 * Plain data. What the text does not say is 0, false or "".
 */
#ifndef MADANG_BACKPLANE_REDIS_FACTS_H
#define MADANG_BACKPLANE_REDIS_FACTS_H

#include "backplane/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define REDIS_ID_LEN 40

struct redis_facts {
    bool known; /* INFO was answered; false: denied, as some managed servers do */
    uint32_t version[3];
    char version_text[24];
    char mode[16];                  /* "standalone", "cluster", "sentinel" */
    char run_id[REDIS_ID_LEN + 1];  /* another one after each start of the server */
    char replid[REDIS_ID_LEN + 1];  /* of the history of writes that it continues */
    char replid2[REDIS_ID_LEN + 1]; /* after a promotion: the history that it had followed */
    int64_t replid2_offset;         /* up to there; -1: there is none */
    char role[8];                   /* "master", "slave" */
    char master_host[256];          /* of a replica */
    uint32_t master_port;
    char eviction[32];   /* maxmemory_policy */
    uint64_t max_memory; /* bytes; 0: no limit */
    bool cluster, loading, append_only;
    uint64_t loading_eta_s;
};

void redis_facts_parse(struct redis_facts *f, struct span info);

/* True if the server may drop keys of ours when its memory is full. */
bool redis_facts_evicts(const struct redis_facts *f);
/* Says so, and what to do: a sentence part. */
void redis_facts_explain_eviction(const struct redis_facts *f, struct buf *out);

#endif
