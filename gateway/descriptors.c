/* SPDX-License-Identifier: MIT */
#include "gateway/descriptors.h"

#include "backplane/base/log.h"

#include <sys/resource.h>

/* Descriptors beside the connections: three standard ones, and per loop an epoll, an eventfd or
 * two, a random source and what libuv keeps. */
#define DESCRIPTORS_EXTRA 128

/* The library sizes its tables by the limit and scans them at each close: as much as needed, no
 * more. */
void descriptors_limit(const struct options *o)
{
    struct rlimit r;
    rlim_t need = (rlim_t)o->max_connections + DESCRIPTORS_EXTRA;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    if (r.rlim_max != RLIM_INFINITY && r.rlim_max < need) {
        log_warn("only %llu file descriptors are allowed here (ulimit -Hn), %llu are needed for "
                 "max_connections %u: fewer connections will be taken",
                 (unsigned long long)r.rlim_max, (unsigned long long)need, o->max_connections);
        need = r.rlim_max;
    }
    r.rlim_cur = need;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0)
        log_warn("the limit of open files could not be set to %llu", (unsigned long long)need);
}
