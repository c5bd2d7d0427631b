/* SPDX-License-Identifier: MIT */
/* fetch.h: the fence around libcurl: one bounded GET, blocking. For threads that may wait.
 *
 * http and https only, also after at most three redirects; no proxies and no .netrc from the
 * environment.
 */
#ifndef MADANG_GATEWAY_FETCH_H
#define MADANG_GATEWAY_FETCH_H

#include "backplane/base/buf.h"

#include <stdatomic.h>

void fetch_global_init(void); /* once, before any thread starts */

struct fetch_limits {
    size_t bytes;
    long ms;
    const atomic_bool *cancel; /* set by another thread: give up */
};

/* Appends the body of a 200 answer; false: `why` gets one line. */
bool fetch(const char *url, const struct fetch_limits *limits, struct buf *body, struct buf *why);

#endif
