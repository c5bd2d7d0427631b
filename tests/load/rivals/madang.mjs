// SPDX-License-Identifier: MIT
//
// madang by its HTTP API: arrays of jobs in one call, takes that wait.

import { Agent, request } from 'node:http';

const LEASE = 30_000;

class Api {
  constructor({ port, key }) {
    this.agent = new Agent({ keepAlive: true });
    this.headers = { 'X-API-Key': key, 'Content-Type': 'application/json' };
    this.port = port;
  }

  call(method, params) {
    const { port, agent, headers } = this;
    const options = { host: '127.0.0.1', port, path: `/api/${method}`, method: 'POST', headers, agent };
    return new Promise((settle, fail) => {
      const asked = request(options, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (more) => (text += more));
        answer.on('error', fail);
        answer.on('end', () => {
          const { result, error } = JSON.parse(text);
          if (error) fail(new Error(`${method}: ${error.message}`));
          else settle(result);
        });
      });
      asked.on('error', fail);
      asked.end(JSON.stringify(params));
    });
  }

  close() {
    this.agent.destroy();
  }
}

export function producer(where) {
  const api = new Api(where);
  const put = async (jobs) => {
    const answer = await api.call('queue_put', { queue: 'work', jobs: jobs.map((data) => ({ kind: 'k', data })) });
    if (!answer.jobs.every(({ status }) => status === 'ok')) throw new Error('a job was refused');
  };
  return { put, close: () => api.close() };
}

export function consumer(where, { batch, lanes, picked, acked, failed }) {
  const api = new Api(where);
  let closed = false;
  const work = async (owner) => {
    while (!closed) {
      const { jobs } = await api.call('queue_take', { queue: 'work', max: batch, lease_ms: LEASE, wait_ms: 20_000, owner });
      if (jobs.length === 0) continue;
      for (const { data } of jobs) picked(data);
      const answer = await api.call('queue_ack', { jobs: jobs.map(({ id, token }) => ({ id, token })) });
      acked(answer.jobs.filter(({ status }) => status === 'ok').length);
    }
  };
  for (let i = 0; i < lanes; i++) work(`w${i}`).catch((error) => closed || failed(error));
  return {
    close() {
      closed = true;
      api.close();
    },
  };
}
