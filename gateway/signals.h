/* SPDX-License-Identifier: MIT */
/* signals.h: what the system tells a serving gateway: SIGTERM, SIGINT, SIGHUP, on main's loop. */
#ifndef MADANG_GATEWAY_SIGNALS_H
#define MADANG_GATEWAY_SIGNALS_H

#include "backplane/base/loop.h"

#define SIGNALS 3

struct signals {
    uv_signal_t list[SIGNALS];
    void (*told)(void *owner, int number);
    void *owner;
};

void signals_watch(struct signals *s, struct loop *loop, void (*told)(void *owner, int number),
                   void *owner);
void signals_end(struct signals *s); /* the loop's closing waits for it */

#endif
