/* SPDX-License-Identifier: MIT */
/* transfer.h: what all transfers by libcurl have in common here: http and https only, no proxies
 * and no .netrc of the environment, no signals, a bound of time, and who we are.
 */
#ifndef MADANG_GATEWAY_TRANSFER_H
#define MADANG_GATEWAY_TRANSFER_H

#include <curl/curl.h>
#include <stddef.h>

struct transfer_number {
    CURLoption option;
    long value;
};

/* The common ones, and these; `curl` is new. `url` is copied. */
CURLcode transfer_begin(CURL *curl, const char *url, long ms, const struct transfer_number *numbers,
                        size_t count);

/* Why there was no connection to a unix socket, a constant; NULL: that is not what went wrong. The
 * library's own words name a host there, which had no part in it. Before the handle goes. */
const char *transfer_socket_why(CURL *curl, CURLcode code);

#endif
