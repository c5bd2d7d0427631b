/* SPDX-License-Identifier: MIT */
/* thread.h: a thread that runs a loop. Started and ended by the main thread, which alone gets
 * signals.
 */
#ifndef MADANG_GATEWAY_THREAD_H
#define MADANG_GATEWAY_THREAD_H

#include "backplane/base/loop.h"

#include <pthread.h>

struct thread {
    pthread_t id;
    struct loop *loop; /* NULL: it does not run */
};

bool thread_start(struct thread *t, struct loop *loop); /* false, and the log says so */
/* The loop stops after its next turn, and the thread is waited for. Harmless if it does not run. */
void thread_end(struct thread *t);

#endif
