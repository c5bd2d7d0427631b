/* SPDX-License-Identifier: MIT */
/* http_client.h: HTTP requests from a loop: POST of a body, and its answer.
 *
 * http and https only, no redirects, no proxies, no .netrc and no cookies; certificates are
 * checked. With a `reach`, an address outside of it is never connected to, whatever name led
 * there. Calls to one host beyond `per_host` wait for each other.
 *
 * A client and its calls belong to the loop's thread. A call is embedded by whoever makes it, and
 * the client's until `done`, which comes exactly once and never inside a call of this header.
 */
#ifndef MADANG_GATEWAY_HTTP_CLIENT_H
#define MADANG_GATEWAY_HTTP_CLIENT_H

#include "backplane/base/buf.h"
#include "backplane/base/list.h"

#include <stdint.h>

struct loop;
struct reach;
struct http_client;

struct http_client_config {
    struct loop *loop;
    const struct reach *reach; /* NULL: everything may be reached; borrowed */
    uint32_t per_host;         /* calls at a time to one host and port; 0: any number */
    const char *ca_file;       /* certificates that are trusted instead of the system's; NULL */
    const char *unix_path;     /* all calls go to this socket; NULL */
};

enum http_end {
    HTTP_ANSWERED, /* `status` */
    HTTP_FAILED,   /* no answer, or only a part of it */
    HTTP_TIMEOUT,
    HTTP_BAD_URL, /* it is none that can be called */
    HTTP_REFUSED, /* every address that it leads to is out of reach */
    HTTP_ENDS
};

#define HTTP_WHY_MAX 256

struct http_call {
    /* The caller's: borrowed until `done`. */
    const char *url;
    struct span body;
    const char *const *headers; /* "Name: value"; no CR or LF in them */
    size_t header_count;
    uint64_t timeout_ms; /* from when it is its turn */
    size_t answer_max;   /* bytes of the answer's body; the rest is not waited for */
    void (*done)(struct http_call *c);
    /* answer */
    enum http_end end;
    uint32_t status;
    bool cut;                /* the body was longer than answer_max */
    uint64_t retry_after_ms; /* what the answer asks for; 0: nothing */
    struct buf answer;       /* the caller's to deinit */
    char why[HTTP_WHY_MAX];  /* unless HTTP_ANSWERED: one line for people */
    /* the client's */
    struct list link;
    struct http_client *client;
    void *easy, *header_list;
    char *host;
    bool connected, kept_out;
};

bool http_url_is(const char *url); /* one that can be called; any thread */

struct http_client *http_client_new(const struct http_client_config *c); /* NULL: no memory */
/* There are no calls. The loop settles afterwards (loop_settle). NULL is fine. */
void http_client_free(struct http_client *client);

/* Fields of the caller are filled in, `answer` is empty. */
void http_client_begin(struct http_client *client, struct http_call *c);

/* The call ends now, without `done`. Whether it took effect is unknown. */
void http_client_cancel(struct http_call *c);

#endif
