/* SPDX-License-Identifier: MIT */
#include "gateway/thread.h"

#include "backplane/base/log.h"

#include <signal.h>

static void *run(void *loop)
{
    loop_run(loop);
    return NULL;
}

bool thread_start(struct thread *t, struct loop *loop)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* it inherits the mask */
    bool ok = pthread_create(&t->id, NULL, run, loop) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ok)
        t->loop = loop;
    else
        log_error("a thread could not be started");
    return ok;
}

void thread_end(struct thread *t)
{
    if (!t->loop)
        return;
    loop_quit(t->loop);
    (void)pthread_join(t->id, NULL);
    t->loop = NULL;
}
