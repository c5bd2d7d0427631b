// SPDX-License-Identifier: MIT
//
// What it costs that gateways share their rooms over Redis: CPU of the gateway that publishes and of
// the server, beside the same gateway without Redis and the bare script; and how much later a
// subscriber of another gateway hears, beside a bare PUBLISH.

import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';

import { Redis } from '../lib/redis.mjs';
import { load, median, start, startGateway } from './tool.mjs';

const GATEWAY_CPU = 0;
const LOAD_CPU = 1;
const DEPTH = 64;

// ns of CPU that a process has used.
function cpuOf(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.reduce((sum, id) => sum + Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]), 0);
}

// A connection that says something once and then only listens.
async function listener(redis, ...words) {
  const socket = connect({ host: '127.0.0.1', port: redis.port });
  socket.setNoDelay(true);
  const first = new Promise((settle, fail) => socket.once('data', settle).once('error', fail));
  socket.write(`${words.join(' ')}\r\n`);
  await first;
  return socket;
}

// Two gateways of one Redis: the first is for publishers, the second for listeners.
async function withTwo(work, more = []) {
  const redis = await Redis.start();
  const gateways = [];
  try {
    const args = ['--backplane', 'redis', '--redis-url', redis.url, ...more];
    for (const cpu of [GATEWAY_CPU, LOAD_CPU]) gateways.push(await startGateway({ args, cpu }));
    return await work({ redis, near: gateways[0], far: gateways[1] });
  } finally {
    for (const gateway of gateways) await gateway.stop();
    await redis.stop();
  }
}

const room = { sessions: 10, rooms: 1, publishers: 1, settle: 0, quiet: true };

async function checked(options, where) {
  const { code, report, err } = await load(options, { cpu: LOAD_CPU, ...where });
  if (code !== 0) throw new Error(err);
  return report;
}

// Ten listen on one gateway, one publishes on another.
const across = ({ redis, near, far }, options) =>
  checked({ ...room, ...options, port: far.port, publish_port: near.port, pid: near.pid, server_pid: redis.child.pid });

const escapes = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' };

// A word as MONITOR shows it.
function unescaped(word) {
  const plain = word.replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex, one) => (hex ? String.fromCharCode(parseInt(hex, 16)) : escapes[one] ?? one));
  return Buffer.from(plain, 'latin1').toString();
}

// The words of the call that the gateway makes for one of these publications.
async function commitCall(two) {
  const socket = await listener(two.redis, 'MONITOR');
  let text = '';
  socket.on('data', (bytes) => (text += bytes));
  await across(two, { prefix: 'seen-', warmup: 0, messages: 3, in_flight: 1 });
  socket.destroy();
  const line = text.split('\r\n').find((one) => /"EVAL" .*" "\d+" "madang:room:seen-\d+" "madang:stream:seen-\d+" "madang:keys:/.test(one));
  if (!line) throw new Error(`no commit was seen: ${text.slice(0, 1000)}`);
  const [, script, ...words] = [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) => unescaped(word));
  return ['EVALSHA', await two.redis.say('SCRIPT', 'LOAD', script), ...words];
}

// us of the server's CPU for one such call, with one subscriber.
async function bareScript({ redis }, words, calls) {
  const ear = await listener(redis, 'SUBSCRIBE', words[3 + Number(words[2])]); // behind the keys
  ear.resume();
  const before = cpuOf(redis.child.pid);
  const args = ['-p', redis.port, '-c', 1, '-P', DEPTH, '-n', calls, '-q', ...words].map(String);
  const { code, out, err } = await start('redis-benchmark', args, { cpu: LOAD_CPU }).done;
  const spent = cpuOf(redis.child.pid) - before;
  ear.destroy();
  if (code !== 0) throw new Error(out + err);
  return spent / 1e3 / calls;
}

const costs = {
  title: `over Redis, ${DEPTH} in flight, one room of 10 on a second gateway`,
  async run({ turns, seconds, scale, say }) {
    const found = [];
    const alone = await startGateway({ cpu: GATEWAY_CPU });
    try {
      await withTwo(async (two) => {
        const words = await commitCall(two);
        for (let i = 0; i < turns; i++) {
          const timing = { warmup: 0.3, duration: seconds };
          const hundred = { sessions: 1000, rooms: 100, in_flight: 200, settle: 0, quiet: true };
          const local = await checked({ ...hundred, ...timing }, { gateway: alone });
          const shared = await across(two, { in_flight: DEPTH, ...timing });
          const bare = await bareScript(two, words, Math.round(100000 * scale));
          found.push({
            gateway: shared.cpu_us_per_publication,
            local: local.cpu_ns_per_delivery / 1e3,
            server: shared.server_cpu_us_per_publication,
            bare,
            rate: shared.publications_per_s,
          });
          const one = found.at(-1);
          const us = (name) => `${one[name].toFixed(2)} us`;
          say(`gateway ${us('gateway')}, row 3 ${us('local')}, server ${us('server')}, bare script ${us('bare')}, ${one.rate}/s`);
        }
      });
    } finally {
      await alone.stop();
    }
    const middle = (pick) => median(found.map(pick));
    return [
      { what: 'publishing gateway / row 3', value: middle((one) => one.gateway / one.local), digits: 2, limit: 2, details: { found } },
      { what: 'redis-server / bare script', value: middle((one) => one.server / one.bare), digits: 2, limit: 1.3 },
      { what: 'publications per second', value: middle((one) => one.rate), digits: 0 },
    ];
  },
};

// Publishes by hand, every few ms until it is stopped: us from PUBLISH to the message, sorted.
async function rawRoundTrips({ redis }) {
  const mouth = connect({ host: '127.0.0.1', port: redis.port });
  const ear = await listener(redis, 'SUBSCRIBE', 'raw');
  const times = [];
  let sent;
  mouth.setNoDelay(true);
  mouth.resume();
  ear.on('data', () => times.push(Number(process.hrtime.bigint() - sent) / 1e3));
  const timer = setInterval(() => {
    sent = process.hrtime.bigint();
    mouth.write('PUBLISH raw x\r\n');
  }, 5);
  return () => {
    clearInterval(timer);
    mouth.destroy();
    ear.destroy();
    return times.sort((a, b) => a - b);
  };
}

const percentile = (sorted, percent) => sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))];

const latency = {
  title: 'a second gateway at 30 % load: how much later its subscribers hear',
  async run({ turns, seconds, say }) {
    const found = [];
    await withTwo(async (two) => {
      const timing = { warmup: 0.3, duration: seconds };
      const most = await across(two, { in_flight: DEPTH, ...timing });
      const rate = Math.round(0.3 * most.publications_per_s);
      for (let i = 0; i < turns; i++) {
        const one = await across({ ...two, far: two.near }, { rate, ...timing });
        const stop = await rawRoundTrips(two);
        const other = await across(two, { rate, ...timing });
        const raw = stop();
        const row = { rate };
        for (const percent of [50, 99]) {
          const name = `latency_p${percent}_us`;
          row[`p${percent}`] = { one: one[name], added: other[name] - one[name], raw: percentile(raw, percent) };
        }
        found.push(row);
        say(JSON.stringify(row));
      }
    });
    const rows = [{ what: 'publications per second', value: found[0].rate, digits: 0, details: { found } }];
    for (const percent of ['p50', 'p99'])
      for (const [name, what] of [['one', 'on one gateway'], ['added', 'added by a second'], ['raw', 'a bare PUBLISH']])
        rows.push({ what: `${percent} ${what}, us`, value: median(found.map((row) => row[percent][name])), digits: 0 });
    return rows;
  },
};

// What it costs that somebody may be told of a message: the same publications with and without a
// target, in a room that nobody follows. The target is never called.
const telling = {
  title: `over Redis, ${DEPTH} in flight, with and without [notify] url`,
  run: ({ turns, seconds, say }) =>
    withTwo((plain) => withTwo(async (told) => {
      const found = [];
      const timing = { warmup: 0.3, duration: seconds, in_flight: DEPTH };
      for (let i = 0; i < turns; i++) {
        const [a, b] = [await across(plain, timing), await across(told, timing)];
        found.push({
          gateway: [a, b].map((one) => one.cpu_us_per_publication),
          server: [a, b].map((one) => one.server_cpu_us_per_publication),
        });
        say(JSON.stringify(found.at(-1)));
      }
      const middle = (name) => median(found.map((one) => one[name][1] / one[name][0]));
      return [
        { what: 'publishing gateway, with / without', value: middle('gateway'), digits: 2, details: { found } },
        { what: 'redis-server, with / without', value: middle('server'), digits: 2 },
      ];
    }, ['--notify-url', 'http://127.0.0.1:9/'])),
};

export const backplane = { redis: costs, 'redis-late': latency, 'redis-told': telling };
