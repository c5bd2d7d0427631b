/* SPDX-License-Identifier: MIT */
/* follow_errand.h: what a job asks about the followers of a room, and says of them, by a hub, which
 * has the rules of rooms.
 */
#ifndef MADANG_GATEWAY_FOLLOW_ERRAND_H
#define MADANG_GATEWAY_FOLLOW_ERRAND_H

#include "backplane/driver.h"
#include "gateway/errand.h"

/* Sent with follow_errand_run(). Spans are borrowed. */
struct follow_errand {
    struct errand errand;
    enum follow_verb verb; /* FOLLOW_USERS or FOLLOW_TOLD, see driver.h */
    struct span room;
    struct span after; /* USERS, whose answer says who is here */
    uint32_t max_count;
    const struct span *users; /* TOLD */
    size_t user_count;
    struct position at;
    /* answer */
    enum err error;
    bool more;
    struct list found; /* struct followed, whoever sent it frees them */
};

void follow_errand_run(struct hub *h, struct errand *e);

#endif
