// SPDX-License-Identifier: MIT
//
// A bare stream of Redis with a consumer group: no delays, no retries by time, no bounds, no dead letters.

import { Redis } from 'ioredis';

const WAIT = 200; // ms

async function pipelined(pipeline) {
  for (const [error] of await pipeline.exec()) if (error) throw error;
}

export function producer({ redis }) {
  const server = new Redis(redis);
  const put = (jobs) => {
    const pipeline = server.pipeline();
    for (const job of jobs) pipeline.xadd('work', '*', 'd', JSON.stringify(job));
    return pipelined(pipeline);
  };
  return { put, close: () => server.disconnect() };
}

export function consumer({ redis }, { batch, lanes, picked, acked, failed }) {
  let closed = false;
  const work = async (name) => {
    const server = new Redis(redis);
    await server.xgroup('CREATE', 'work', 'group', '0', 'MKSTREAM').catch(() => {}); // there is one
    while (!closed) {
      const streams = await server.xreadgroup('GROUP', 'group', name, 'COUNT', batch, 'BLOCK', WAIT, 'STREAMS', 'work', '>');
      if (!streams) continue;
      const [[, entries]] = streams;
      for (const [, [, data]] of entries) picked(JSON.parse(data));
      const ids = entries.map(([id]) => id);
      await pipelined(server.pipeline().xack('work', 'group', ...ids).xdel('work', ...ids));
      acked(ids.length);
    }
    server.disconnect();
  };
  const works = Array.from({ length: lanes }, (_, i) => work(`w${i}`).catch(failed));
  return {
    // What a connection that is gone was handed stays with its name: so none goes while it waits.
    close() {
      closed = true;
      return Promise.all(works);
    },
  };
}
