/* SPDX-License-Identifier: MIT */
/* job_id.h: a job's name outside of this program: "work:1834…", its queue and its number.
 *
 * To everybody else it is one word without a meaning. Pure functions; any thread.
 */
#ifndef MADANG_GATEWAY_JOB_ID_H
#define MADANG_GATEWAY_JOB_ID_H

#include "backplane/base/buf.h"

/* The queue is borrowed from the text; false: it names no job. */
bool job_id_read(struct span text, struct span *queue, uint64_t *id);

void job_id_write(struct buf *b, struct span queue, uint64_t id); /* as a JSON string */

#endif
