/* SPDX-License-Identifier: MIT */
/* redis_scripts.h: the scripts of the redis driver; what they do, and with which keys and
 * arguments, is told in backplane/lua/.
 */
#ifndef MADANG_BACKPLANE_REDIS_SCRIPTS_H
#define MADANG_BACKPLANE_REDIS_SCRIPTS_H

#include "backplane/redis/script.h"

enum redis_script_id {
    SCRIPT_COMMIT,
    SCRIPT_COMMIT_CAUSE, /* the same, for a publication that causes a job */
    SCRIPT_READ,
    SCRIPT_CHECK,
    SCRIPT_REMOVE,
    SCRIPT_REDACT,
    SCRIPT_GENERATION,
    SCRIPT_SHARE,
    SCRIPT_GROW, /* the same, but refused when the server is out of memory */
    SCRIPT_SERVERS,
    SCRIPT_FOLLOW,
    SCRIPT_ATTEND, /* the same, but refused when the server is out of memory */
    SCRIPT_MEMORY,
    SCRIPT_QUEUE_PUT,
    SCRIPT_QUEUE_TAKE,
    SCRIPT_QUEUE_SETTLE,
    SCRIPT_QUEUE_LOOK,
    SCRIPT_QUEUE_PICK,
    SCRIPT_QUEUE_CONTROL,
    SCRIPT_QUEUE_SWEEP,
    SCRIPT_QUEUE_DUE,
    REDIS_SCRIPTS
};

/* Once, before any is used; again does no harm. */
void redis_scripts_init(void);
const struct redis_script *redis_script(enum redis_script_id id);

/* The scripts of queues as a library of functions, by which other programs call them. */
struct span redis_queue_library(void);

#endif
