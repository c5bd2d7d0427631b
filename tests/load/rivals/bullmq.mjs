// SPDX-License-Identifier: MIT
//
// BullMQ: its Queue, by add or addBulk, and its Worker. Jobs that are done are removed, which is not its default.

import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const CONCURRENCY = 100; // as its makers measure it
const connect = (redis) => new Redis(redis, { maxRetriesPerRequest: null });
const opts = { removeOnComplete: true };

export function producer({ redis, bulk }) {
  const connection = connect(redis);
  const queue = new Queue('work', { connection });
  const all = (jobs) => queue.addBulk(jobs.map((data) => ({ name: 'k', data, opts })));
  const each = (jobs) => Promise.all(jobs.map((data) => queue.add('k', data, opts)));
  return { put: bulk ? all : each, close: () => connection.disconnect() };
}

export function consumer({ redis }, { picked, acked, failed }) {
  const connection = connect(redis);
  const work = async ({ data }) => picked(data);
  const worker = new Worker('work', work, { connection, concurrency: CONCURRENCY });
  worker.on('completed', () => acked(1));
  worker.on('failed', (job, error) => failed(error));
  worker.on('error', failed);
  return { close: () => worker.close().then(() => connection.disconnect()) };
}
