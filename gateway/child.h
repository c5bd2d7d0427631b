/* SPDX-License-Identifier: MIT */
/* child.h: a program that is run: fed with bytes, listened to, and ended for sure.
 *
 * It has a process group of its own, default signals, no open descriptors but 0 to 2, and only the
 * environment it is given. When it is told to end, or when it ends by itself, its whole group is
 * ended. Should this process die, so does the program (not what the program has started).
 *
 * Belongs to a loop. `ended` comes exactly once, never inside a call of this header, and the child
 * is gone then; what it said is borrowed for that call.
 */
#ifndef MADANG_GATEWAY_CHILD_H
#define MADANG_GATEWAY_CHILD_H

#include "backplane/base/buf.h"

#include <stdint.h>

#define CHILD_COMPLAINT_MAX 1000 /* bytes of what it said last on standard error */

struct loop;
struct child;

struct child_end {
    int code;         /* its exit code, or -1 */
    int signal;       /* that ended it, or 0 */
    struct span said; /* on standard output: the first bytes */
    bool cut;         /* … and there were more */
    struct span complaint;
};

struct child_config {
    struct loop *loop;
    char *const *argv; /* the program's path first; ended by NULL; borrowed for the call */
    char *const *env;  /* likewise */
    struct span input; /* its standard input; borrowed for the call */
    size_t said_max;
    uint64_t patience_ms; /* from a polite signal to one that cannot be ignored */
    void (*ended)(void *owner, const struct child_end *how);
    void *owner;
};

/* NULL: errno says why not. That the program is not there is an exit code of 127. */
struct child *child_start(const struct child_config *c);

/* It is to end: SIGTERM, and SIGKILL if it does not. `ended` follows. */
void child_stop(struct child *c);

#endif
