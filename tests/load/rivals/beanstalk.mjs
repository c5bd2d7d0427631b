// SPDX-License-Identifier: MIT
//
// beanstalkd by its protocol: it knows no calls of several jobs, so commands are sent without waiting for the answer to
// the one before, and each worker holds one job on a connection of its own.

import { connect } from 'node:net';

const WORKERS = 64;

class Client {
  constructor(port) {
    this.socket = connect(port, '127.0.0.1').setNoDelay();
    this.socket.setEncoding('latin1');
    this.text = '';
    this.waiting = [];
    this.socket.on('data', (more) => this.#take(more));
    this.socket.on('close', () => this.waiting.splice(0).forEach(({ fail }) => fail(new Error('beanstalkd is gone'))));
    this.socket.on('error', () => {}); // seen by 'close'
  }

  // Sends commands; resolves with the answers, { words, body }.
  say(text, answers = 1) {
    this.socket.write(text, 'latin1');
    return Promise.all(Array.from({ length: answers }, () => new Promise((settle, fail) => this.waiting.push({ settle, fail }))));
  }

  #take(more) {
    this.text += more;
    let at = 0;
    for (let end; (end = this.text.indexOf('\r\n', at)) >= 0; ) {
      const words = this.text.slice(at, end).split(' ');
      const bytes = words[0] === 'RESERVED' ? Number(words[2]) : 0;
      const next = end + 2 + (bytes ? bytes + 2 : 0);
      if (this.text.length < next) break;
      this.waiting.shift().settle({ words, body: this.text.slice(end + 2, end + 2 + bytes) });
      at = next;
    }
    this.text = this.text.slice(at);
  }
}

export function producer({ port, lanes }) {
  const clients = Array.from({ length: lanes }, () => new Client(port));
  let turn = 0;
  const put = async (jobs) => {
    const texts = jobs.map((job) => JSON.stringify(job));
    const client = clients[turn++ % lanes];
    const answers = await client.say(texts.map((text) => `put 0 0 30 ${text.length}\r\n${text}\r\n`).join(''), jobs.length);
    if (answers.some(({ words }) => words[0] !== 'INSERTED')) throw new Error('a job was refused');
  };
  return { put, close: () => clients.forEach(({ socket }) => socket.destroy()) };
}

export function consumer({ port }, { picked, acked, failed }) {
  const clients = Array.from({ length: WORKERS }, () => new Client(port));
  let closed = false;
  const work = async (client) => {
    let reserved = client.say('reserve\r\n');
    while (!closed) {
      const [{ words, body }] = await reserved;
      picked(JSON.parse(body));
      const deleted = client.say(`delete ${words[1]}\r\n`);
      reserved = client.say('reserve\r\n'); // behind it, on the way already
      reserved.catch(() => {}); // whoever waits for it is told
      acked((await deleted)[0].words[0] === 'DELETED' ? 1 : 0);
    }
  };
  for (const client of clients) work(client).catch((error) => closed || failed(error));
  return {
    close() {
      closed = true;
      for (const { socket } of clients) socket.destroy();
    },
  };
}
