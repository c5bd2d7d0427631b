/* SPDX-License-Identifier: MIT */
/* webhook.h: the handler that tells others over HTTP: a signed POST for each job.
 *
 * The job's data is {"url":"https://…","body":…,"headers":{"Name":"value"},"timeout_ms":n}, of
 * which only the URL must be there. The body is any JSON and is sent as it is. With a secret the
 * request is signed as the Standard Webhooks specification says (standardwebhooks.com), so
 * libraries for checking it exist; docs/QUEUE.md shows how without.
 *
 * 2xx is done. 4xx is rejected, but for 408 and 429: these and all else fail, and are tried again
 * after Retry-After or the backoff. Only addresses that `reach` has are called.
 */
#ifndef MADANG_GATEWAY_WEBHOOK_H
#define MADANG_GATEWAY_WEBHOOK_H

#include "gateway/handler.h"

#define WEBHOOK_URL_MAX 4096 /* bytes */

struct loop;
struct reach;

struct webhook_config {
    struct loop *loop;
    const struct reach *reach; /* borrowed */
    const char *secret;        /* "": unsigned; "whsec_" and base64, or a text; copied */
    const char *ca_file;       /* "": the system's certificates; borrowed */
    uint64_t timeout_ms;       /* the most that a job may ask for */
    uint32_t per_host;         /* calls at a time to one host; 0: any number */
    uint64_t (*clock)(void);   /* NULL: the wall clock, ms */
};

/* NULL: no memory, or the secret is not what it says (webhook_secret_is). */
struct handler *webhook_new(const struct webhook_config *c);

bool webhook_secret_is(const char *text);

#endif
