/* SPDX-License-Identifier: MIT */
/* api.h: the server API, without its HTTP: text comes in, text goes out.
 *
 * A call is one request of an application: one command, or several lines of them, and a command may
 * be made of others (broadcast, batch). It belongs to the hub whose socket brought it. Commands ask
 * the sequencer like sessions do and share the hub's credits; calls that find none wait in line,
 * and the line is bounded. What they say is in docs/API.md.
 */
#ifndef MADANG_GATEWAY_API_H
#define MADANG_GATEWAY_API_H

#include "backplane/base/buf.h"
#include "backplane/base/err.h"
#include "backplane/base/list.h"

#include <stdint.h>

struct hub;
struct api_call;

/* What a key may be used for. */
enum api_scope {
    SCOPE_PUBLISH = 1,
    SCOPE_READ = 2,
    SCOPE_MODERATE = 4,
    SCOPE_JOBS = 8,
    SCOPE_ADMIN = 16,
    SCOPE_ALL = 31,
    SCOPE_OWNER = 32, /* no key has it: who comes by the socket beside the store */
};

/* A hub's calls. */
struct api_desk {
    struct list waiting; /* calls that have something to begin */
    uint32_t calls;      /* not answered yet */
    uint32_t waits;      /* … of these, takes that may wait for jobs */
    uint32_t answers;    /* of calls, owed to somebody: not there yet, or not sent yet */
    size_t bytes;        /* of their bodies, and of those that are on their way */
};

struct api_ask {
    struct span method;    /* what stands behind "/api/"; empty: the body says it, line by line */
    struct buf body;       /* handed over once the call is accepted */
    uint32_t scopes;       /* of the key that was shown */
    bool transport_errors; /* errors are told by the status, and bare */
    /* Called once, never within api_begin, unless the call was abandoned. The text is handed
     * over. */
    void (*answer)(void *owner, int status, struct buf *json);
    /* The answer may take so much longer, from now on. May be NULL. */
    void (*lasts)(void *owner, uint64_t ms);
    void *owner;
};

void api_desk_init(struct api_desk *d);

/* Whether there is such a method. */
bool api_knows(struct span method);

/* A body of so many bytes is on its way: true: its place is kept until api_forget; false: there is
 * none, which is a 503. */
bool api_expect(struct hub *h, size_t bytes);
void api_forget(struct hub *h, size_t bytes);

/* Begins a call: 0 and *out, or an HTTP status: 400 (the body is no JSON), 503 (no place). */
int api_begin(struct api_call **out, struct hub *h, struct api_ask *ask);

/* Nobody waits for the answer any more. What was begun is done all the same, but jobs that were to
 * be handed out go back. */
void api_abandon(struct api_call *c);

/* A step of the hub's turn; true: more can be done at once. */
bool api_turn(struct hub *h);

/* Appends `{"code":n,"message":"…"}`. */
void api_error_json(struct buf *b, enum err e);

#endif
