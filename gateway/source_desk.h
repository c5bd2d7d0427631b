/* SPDX-License-Identifier: MIT */
/* source_desk.h: jobs from the queues of this process. */
#ifndef MADANG_GATEWAY_SOURCE_DESK_H
#define MADANG_GATEWAY_SOURCE_DESK_H

#include "gateway/job_source.h"

struct loop;
struct queue_window;

/* `owner`: who takes the jobs, for people to read. Both are borrowed; the window is open, on the
 * loop of the worker. NULL: no memory. */
struct job_source *source_desk_new(struct queue_window *window, const char *owner);

#endif
