// SPDX-License-Identifier: MIT
//
// A bare stream of Redis with a consumer group: no delays, no retries by time, no bounds, no dead letters.

import { Redis } from 'ioredis';

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
  const servers = [];
  let closed = false;
  const work = async (name) => {
    const server = new Redis(redis);
    servers.push(server);
    await server.xgroup('CREATE', 'work', 'group', '0', 'MKSTREAM').catch(() => {}); // there is one
    while (!closed) {
      const streams = await server.xreadgroup('GROUP', 'group', name, 'COUNT', batch, 'BLOCK', 5000, 'STREAMS', 'work', '>');
      if (!streams) continue;
      const [[, entries]] = streams;
      for (const [, [, data]] of entries) picked(JSON.parse(data));
      const ids = entries.map(([id]) => id);
      await pipelined(server.pipeline().xack('work', 'group', ...ids).xdel('work', ...ids));
      acked(ids.length);
    }
  };
  for (let i = 0; i < lanes; i++) work(`w${i}`).catch((error) => closed || failed(error));
  return {
    close() {
      closed = true;
      for (const server of servers) server.disconnect();
    },
  };
}
