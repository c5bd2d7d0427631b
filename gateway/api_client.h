/* SPDX-License-Identifier: MIT */
/* api_client.h: a call of the server API from the command line, which waits for the answer.
 *
 * It goes to the gateway that has a store, by the socket beside it, or to an address with a key.
 */
#ifndef MADANG_GATEWAY_API_CLIENT_H
#define MADANG_GATEWAY_API_CLIENT_H

#include "backplane/base/buf.h"

#include <jansson.h>

struct api_client {
    const char *store; /* path of the file; used if there is no url */
    const char *url;   /* "http://host:port", or NULL */
    const char *key;   /* with a url; NULL: none */
    bool only_store;   /* the command has no options for the other two */
};

/* The result of a call, which the caller gives back; NULL: *why has a sentence. */
json_t *api_client_call(const struct api_client *to, const char *method, const json_t *params,
                        struct buf *why);

#endif
