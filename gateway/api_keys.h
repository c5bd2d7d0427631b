/* SPDX-License-Identifier: MIT */
/* api_keys.h: who may use the server API, and for what.
 *
 * Keys come from the option `[api] key` (every scope) and from the file `[api] key_file`: one key
 * per line, behind it, if it is not for everything, its scopes: publish, read, moderate, jobs,
 * admin. Only hashes are kept. Read-only once the gateway serves.
 */
#ifndef MADANG_GATEWAY_API_KEYS_H
#define MADANG_GATEWAY_API_KEYS_H

#include "gateway/options.h"

struct api_keys;

/* False: `report` says what is wrong, a line each. */
bool api_keys_load(struct api_keys **out, const struct options *o, struct buf *report)
    __attribute__((warn_unused_result));
void api_keys_free(struct api_keys *k);

/* The scopes of a key (enum api_scope); 0: it is none. The time that it takes tells nothing of the
 * keys. */
uint32_t api_keys_scopes(const struct api_keys *k, struct span key);

#endif
