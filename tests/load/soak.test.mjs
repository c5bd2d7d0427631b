// SPDX-License-Identifier: MIT
//
// A gateway that works for long takes no more of anything than it did after its first minutes: memory, descriptors,
// threads, the file and what lies beside it; over Redis, of keys without an end. SOAK_SECONDS says for how
// long; the short run of `make test` proves that all of it goes on, and that everything is given back in the end.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { KEY } from '../lib/api.mjs';
import { startGateway } from '../lib/gateway.mjs';
import { run } from '../lib/program.mjs';
import { progress } from '../lib/progress.mjs';
import { Redis } from '../lib/redis.mjs';
import { Bustle } from './bustle.mjs';

const SECONDS = Number(process.env.SOAK_SECONDS ?? (process.env.MADANG_TORTURE === '1' ? 900 : 6));
const SAMPLES = 60; // in all
const LONG = 600; // s, from which on growth says something
const GROWTH = 1.05;
const IDLE = 32; // connections to targets that are kept, closed or not (gateway/http_client.c)
const POOL = 4; // threads that libuv begins when a file or a name is looked up
const LOG_MOST = 64 << 20; // beside the file, whatever happens

// Keys of Redis that end by themselves are many, by design: a room is remembered for `[redis] remember`, that a job has
// published something for a day. Those that do not must not become more.
//
// What may be more in the end than in the middle, beside GROWTH.
const SLACK = { memory: 2 << 20, descriptors: 8, threads: 0, file: 1 << 20, redis: 2 << 20, endless: 50, rooms: 0 };

const sizeOf = (path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

function taken(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const word = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)[1]);
  return { memory: word('VmRSS') * 1024, threads: word('Threads'), descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

// Where gateways keep what they have: begins, is looked at, ends.
const places = {
  async 'a store'() {
    const folder = mkdtempSync(join(tmpdir(), 'madang-soak-'));
    const store = join(folder, 'madang.db');
    return {
      gateways: 1,
      args: ['--store', store],
      look: () => ({ file: sizeOf(store), log: sizeOf(`${store}-wal`) }),
      async now_and_then() {
        const { code, err } = await run(process.env.MADANG_BIN, ['backup', join(folder, 'copy.db'), '--store', store]);
        assert.equal(code, 0, err);
        rmSync(join(folder, 'copy.db'));
      },
      end: () => rmSync(folder, { recursive: true }),
    };
  },
  async Redis() {
    const redis = await Redis.start();
    return {
      gateways: 2,
      args: ['--backplane', 'redis', '--redis-url', redis.url],
      async look() {
        const { used_memory, db0 = 'keys=0,expires=0' } = await redis.info();
        const [keys, expiring] = db0.match(/\d+/g).map(Number);
        return { redis: Number(used_memory), keys, endless: keys - expiring };
      },
      now_and_then: () => redis.say('SCRIPT', 'FLUSH'),
      end: () => redis.stop(),
    };
  },
};

// All numbers of a moment: of several gateways the sum.
async function sample(gateways, place) {
  const all = { ...(await place.look()), rooms: 0, sessions: 0 };
  for (const gateway of gateways) {
    const { madang_rooms: rooms, madang_sessions: sessions } = await gateway.metrics();
    const numbers = { rooms, sessions, ...taken(gateway.child.pid) };
    for (const [name, value] of Object.entries(numbers)) all[name] = (all[name] ?? 0) + value;
  }
  return all;
}

const shown = (numbers) => Object.entries(numbers).map(([name, n]) => `${name} ${n >= 1 << 20 ? `${(n / (1 << 20)).toFixed(1)} MiB` : n}`).join(', ');

function judge(samples, sanitized) {
  const third = Math.floor(samples.length / 3);
  const [middle, end] = [samples.slice(third, 2 * third), samples.slice(2 * third)];
  const numbers = {};
  for (const [name, slack] of Object.entries(SLACK)) {
    if (!(name in samples[0]) || (sanitized && name === 'memory')) continue; // which keeps what was freed
    const [before, after] = [middle, end].map((some) => median(some.map((one) => one[name])));
    numbers[name] = { before, after, most: before * GROWTH + slack };
  }
  const grown = Object.entries(numbers).filter(([, { after, most }]) => after > most);
  assert.deepEqual(grown, [], 'it grows');
}

async function soak(name, t) {
  const say = progress({ name: `soak over ${name}` });
  const place = await places[name]();
  const gateways = [];
  const bustle = await Bustle.begin(gateways);
  const { url } = bustle.target;
  const args = ['--config', new URL('soak.ini', import.meta.url).pathname, '--api-key', KEY, '--notify-url', `${url}/unread`, '--webhook-allow-networks', '127.0.0.0/8', ...place.args];
  for (let i = 0; i < place.gateways; i++) {
    gateways.push(await startGateway(args, { auth: 'jwt', hubs: 2, limit: null }));
    gateways[i].expect(/ warn /);
  }
  const begin = await sample(gateways, place);
  bustle.start();
  const samples = [];
  const until = Date.now() + SECONDS * 1000;
  for (let n = 0; Date.now() < until; n++) {
    const between = pause((SECONDS * 1000) / SAMPLES);
    await Promise.race([bustle.failed, between]);
    samples.push(await sample(gateways, place));
    if (n % 10 === 0) await place.now_and_then();
    say(() => `${Math.round((until - Date.now()) / 1000)} s to go: ${shown(samples.at(-1))}`);
  }
  say(() => 'everybody goes');
  await bustle.end();
  for (const what of ['publish', 'come', 'go', 'put', 'take', 'ack', 'nack', 'call', 'operate']) assert.ok(bustle.counts[what] > 0, `no ${what}`);
  let end;
  for (;;) {
    end = await sample(gateways, place);
    if (end.sessions === 0 && end.descriptors <= begin.descriptors + IDLE * gateways.length) break; // all is given back
    say(() => `waiting until all is given back: ${shown(end)}`);
    await pause(100);
  }
  assert.ok(end.threads <= begin.threads + POOL * gateways.length, `${begin.threads} threads, and now ${end.threads}`);
  t.diagnostic(`${SECONDS} s over ${name}: ${shown(bustle.counts)}`);
  const marks = { begin, 'after a third': samples[Math.floor(samples.length / 3)], 'in the end': samples.at(-1), afterwards: end };
  for (const [when, numbers] of Object.entries(marks)) t.diagnostic(`${when}: ${shown(numbers)}`);
  for (const { log = 0 } of samples) assert.ok(log <= LOG_MOST, `the log has ${log} bytes`);
  const sanitized = /lib[at]san/.test(readFileSync(`/proc/${gateways[0].child.pid}/maps`, 'utf8'));
  if (SECONDS >= LONG) judge(samples, sanitized);
  for (const gateway of gateways) await gateway.stop();
  await place.end();
}

describe('what works for long takes no more than before', { concurrency: true }, () => {
  for (const name of Object.keys(places)) test(`over ${name}`, { timeout: (SECONDS + 300) * 1000 }, (t) => soak(name, t));
});
