// SPDX-License-Identifier: MIT
//
// madang's queues by their functions in Redis, without a gateway in between, as docs/QUEUE.md says.

import { randomBytes, randomInt } from 'node:crypto';
import { Redis } from 'ioredis';

const LEASE = 30_000;
const parts = 'job data ready lease delayed expire group blocked key ends result dead buried'.split(' ');
const names = ['queue', ...parts.map((part) => `queue.${part}`)];
const keys = ['madang:jobs', 'madang:queues', 'madang:queues.due', ...names.map((name) => `madang:${name}:work`)];

const call = (server, name, ...words) => server.fcall(`madang_queue_${name}`, keys.length, ...keys, ...words);

export function producer({ redis }) {
  const server = new Redis(redis);
  const put = async (jobs) => {
    const words = jobs.flatMap((job) => ['k', JSON.stringify(job), '']);
    const [, , ...answers] = await call(server, 'put', 'bench', 'work', '', ...words);
    if (answers.some((word, i) => i % 2 === 0 && word !== 'ok')) throw new Error('a job was refused');
  };
  return { put, close: () => server.disconnect() };
}

export function consumer({ redis }, { batch, lanes, picked, acked, failed }) {
  const server = new Redis(redis);
  const listener = new Redis(redis);
  let closed = false;
  let waiting = [];
  const wake = () => waiting.splice(0).forEach((settle) => settle());
  listener.on('message', wake);

  const work = async (owner) => {
    while (!closed) {
      let timer;
      const news = new Promise((settle) => waiting.push(settle)); // from before the take on
      const words = [owner, randomInt(2 ** 32), batch, 0, LEASE, owner, randomBytes(8).toString('hex'), 'work', ''];
      const [, more, ...jobs] = await call(server, 'take', ...words);
      if (jobs.length > 0) {
        for (const [, , , , data] of jobs) picked(JSON.parse(data));
        const said = jobs.flatMap(([, id, token]) => [id, token, '', '']);
        const [, , ...answers] = await call(server, 'settle', owner, 'work', '', 0, 'ack', ...said);
        acked(answers.filter((word) => word === 'ok').length);
      } else if (!more) {
        timer = setTimeout(wake, 5000);
        await news;
      }
      clearTimeout(timer);
    }
  };
  listener.subscribe('madang:jobs').then(() => {
    for (let i = 0; i < lanes; i++) work(`w${i}`).catch((error) => closed || failed(error));
  }, failed);
  return {
    close() {
      closed = true;
      server.disconnect();
      listener.disconnect();
    },
  };
}
