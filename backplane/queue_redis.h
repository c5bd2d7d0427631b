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

#include "backplane/caused.h"
#include "backplane/driver.h"

struct queue_words;

/* Over an open driver of `redis_driver`. Of the config, the clock is not used. It is stopped before
 * that driver is stopped, which ends what is under way, and closed between that driver's stop and
 * close. NULL: no memory. */
struct queue_driver *queue_redis_new(const struct queue_config *config, struct driver *redis);

/* The words by which the script of a publication puts what that causes; good until the next call of
 * the driver. NULL: no memory. */
const struct queue_words *queue_redis_cause(struct queue_driver *d, const struct caused *c);

/* What that put answered: it was done on that server, there is something to do in `due_ms` (-1:
 * never), and so many more jobs are ready. */
void queue_redis_caused(struct queue_driver *d, size_t server, const struct caused *c,
                        int64_t due_ms, size_t ready);
/* It is not known whether that server put something. */
void queue_redis_unknown(struct queue_driver *d, size_t server);

#endif
