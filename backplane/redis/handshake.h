/* SPDX-License-Identifier: MIT */
/* handshake.h: the first words on a connection: who we are, and is that the server we want?
 *
 * One pipeline of AUTH, SELECT, CLIENT SETNAME, ROLE and INFO, of which only what is needed is
 * sent, and the verdict on what comes back. No I/O. What a managed server denies (ROLE, INFO,
 * CLIENT) is done without; what is known then is less.
 */
#ifndef MADANG_BACKPLANE_REDIS_HANDSHAKE_H
#define MADANG_BACKPLANE_REDIS_HANDSHAKE_H

#include "backplane/redis/link.h"

#define HANDSHAKE_STEPS 5

struct redis_handshake {
    const struct redis_link_options *options;
    struct redis_facts *facts; /* filled in */
    uint8_t step[HANDSHAKE_STEPS];
    size_t sent, answered;
    bool role_known;
};

/* Appends the commands to `out`. `options` and `facts` must outlive the handshake. */
void redis_handshake_begin(struct redis_handshake *h, const struct redis_link_options *options,
                           struct redis_facts *facts, struct buf *out);

enum handshake_verdict { HANDSHAKE_MORE, HANDSHAKE_DONE, HANDSHAKE_FAILED };

/* The next reply. HANDSHAKE_FAILED: *fault and `why` say why. */
enum handshake_verdict redis_handshake_reply(struct redis_handshake *h,
                                             const struct redis_reply *reply,
                                             enum redis_fault *fault, struct buf *why);

/* True for the error replies by which a server says that it cannot serve just now, or not us. */
bool redis_error_ends_link(const struct redis_reply *reply);

#endif
