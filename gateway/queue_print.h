/* SPDX-License-Identifier: MIT */
/* queue_print.h: answers of the methods queue_…, as people read them.
 *
 * Each appends lines. False: what was asked for did not happen, and `report` says so in a line.
 * `queue` is the one that was named, if any.
 */
#ifndef MADANG_GATEWAY_QUEUE_PRINT_H
#define MADANG_GATEWAY_QUEUE_PRINT_H

#include "backplane/base/buf.h"

#include <jansson.h>

bool queue_print_all(const json_t *r, const char *queue, struct buf *text, struct buf *report);
bool queue_print_cron(const json_t *r, const char *queue, struct buf *text, struct buf *report);
bool queue_print_stats(const json_t *r, const char *queue, struct buf *text, struct buf *report);
bool queue_print_put(const json_t *r, const char *queue, struct buf *text, struct buf *report);
bool queue_print_taken(const json_t *r, const char *queue, struct buf *text, struct buf *report);
bool queue_print_settled(const json_t *r, const char *queue, struct buf *text, struct buf *report);
bool queue_print_dead(const json_t *r, const char *queue, struct buf *text, struct buf *report);
bool queue_print_picked(const json_t *r, const char *queue, struct buf *text, struct buf *report);
bool queue_print_done(const json_t *r, const char *queue, struct buf *text, struct buf *report);

#endif
