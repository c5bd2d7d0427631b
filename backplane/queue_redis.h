/* SPDX-License-Identifier: MIT */
/* queue_redis.h: the queue driver over Redis: hashes, sorted sets and one script per operation.
 * What it keeps where is told in backplane/lua/queue.lua, and for other programs in docs/QUEUE.md.
 *
 * It uses the connections of the redis driver, and lives on its loop. The clock is each server's.
 *
 * With several servers a job goes by its group, else by its key, else to any that is there. Its id
 * tells the server (the rest by 16 is its place by name), so what is said of it goes there. Order,
 * priorities and bounds are per server; pause and drain go to all, stats are sums. What needs a
 * server that is away ends with ERR_INTERNAL, and has happened on the others; a take goes without.
 *
 * A put is answered as durable as the server is known to be: `fsync` if the operator says so
 * (redis_settings.restart_keeps), `os` with an append-only file, `mem` without one, `unknown` if
 * the server does not tell.
 *
 * `ready` events are told for what becomes ready on any gateway or by any program, by way of a
 * channel. At least once a second it is looked what has become due, in queues too that nobody takes
 * from.
 */
#ifndef MADANG_BACKPLANE_QUEUE_REDIS_H
#define MADANG_BACKPLANE_QUEUE_REDIS_H

#include "backplane/driver.h"
#include "backplane/queue/queue.h"

/* Over an open driver of `redis_driver`. Of the config, the clock is not used. It is stopped before
 * that driver is stopped, which ends what is under way, and closed between that driver's stop and
 * close. NULL: no memory. */
struct queue_driver *queue_redis_new(const struct queue_config *config, struct driver *redis);

#endif
