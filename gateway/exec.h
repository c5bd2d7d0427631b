/* SPDX-License-Identifier: MIT */
/* exec.h: the handler that runs a program for each job.
 *
 * The program gets the job's data on standard input, and these variables and no others:
 * MADANG_JOB_ID, MADANG_JOB_KIND, MADANG_JOB_QUEUE, MADANG_JOB_DELIVERY, and those that the
 * operator names, as they are in our own environment.
 *
 * Exit code 0: done, and what it wrote to standard output is the result. 65 (EX_DATAERR): trying
 * again is of no use. All else: it failed, and what it wrote last to standard error tells why.
 */
#ifndef MADANG_GATEWAY_EXEC_H
#define MADANG_GATEWAY_EXEC_H

#include "gateway/handler.h"

struct loop;

struct exec_config {
    struct loop *loop;
    char *const *words; /* the program's path, and what stands behind it; borrowed */
    size_t word_count;  /* at least 1 */
    char *const *names; /* of variables that are passed on; borrowed */
    size_t name_count;
    uint64_t timeout_ms;
    uint64_t patience_ms; /* from SIGTERM to SIGKILL */
    size_t output_max;    /* bytes of a result */
};

struct handler *exec_new(const struct exec_config *c); /* NULL: no memory */

#endif
