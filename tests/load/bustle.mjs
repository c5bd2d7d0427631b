// SPDX-License-Identifier: MIT
//
// All that goes on at gateways, at a steady pace for as long as is wanted: people who come, talk, read, follow and
// go, well or not; applications that call the server API; jobs of every sort, done or not; targets of webhooks that fail.

import { setTimeout as pause } from 'node:timers/promises';

import { Api, post } from '../lib/api.mjs';
import { Chatter } from '../lib/chatter.mjs';
import { token } from '../lib/token.mjs';
import { Target } from '../lib/worker.mjs';

const ROOMS = 20;
const USERS = 60;
const PEOPLE = 24; // at a time
const OWNERS = 4;
const HARMLESS = new Set([100, 102, 103, 106, 108, 109, 111]); // answers to what chance has made

const below = (n) => Math.floor(Math.random() * n);
const pick = (list) => list[below(list.length)];
const chat = () => `chat:soak${below(ROOMS)}`;
const words = () => 'x'.repeat(20 + below(below(20) ? 200 : 4000));

export class Bustle {
  static async begin(gateways) {
    // Who is told of messages, and called by jobs, fails now and then.
    const target = await Target.open((request, response) => {
      target.requests.length = 0;
      response.statusCode = below(10) ? 200 : pick([429, 500]);
      response.end();
    });
    return new Bustle(gateways, target);
  }

  constructor(gateways, target) {
    this.gateways = gateways;
    this.target = target;
    this.counts = {};
    this.over = false;
    this.nth = 0;
  }

  // What `begin` starts gateways with must name this target.
  start() {
    const { target } = this;
    this.loops = [
      ...Array.from({ length: PEOPLE }, () => this.#person()),
      ...Array.from({ length: OWNERS }, (_, i) => this.#pace(10, 'turn', () => this.#take(`w${i}`))),
      this.#pace(20, 'call', () => this.#call()),
      this.#pace(20, 'put', () => this.#put(target)),
      this.#pace(500, 'operate', () => this.#operate()),
    ];
    this.failed = Promise.all(this.loops); // or never ends before `end`
  }

  #count(what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  async #pace(ms, what, act) {
    while (!this.over) {
      await Promise.all([act(), pause(ms)]);
      this.#count(what);
    }
  }

  #api() {
    return new Api(pick(this.gateways));
  }

  // ---- people ------------------------------------------------------------------------------------

  async #person() {
    while (!this.over) {
      const c = await Chatter.open(pick(this.gateways));
      this.#count('come');
      await c.ok({ connect: { token: token({ sub: `user${below(USERS)}` }) } });
      const rooms = [...new Set([chat(), chat()])];
      for (const channel of rooms) await this.#ask(c, { subscribe: { channel, recover: true, epoch: 'x', offset: 1 } });
      for (let left = 20 + below(60); left > 0 && !this.over; left--) {
        await Promise.all([this.#act(c, pick(rooms)), pause(60)]);
        c.lines.length = 0; // nobody looks at what comes in between
      }
      if (below(2)) await c.leave();
      else c.cut();
      this.#count('go');
    }
  }

  async #act(c, channel) {
    const rpc = (method, data) => ({ rpc: { method: `rooms.${method}`, data } });
    const acts = [
      () => rpc('typing', { room: channel }),
      () => rpc('follow', { room: channel }),
      () => rpc('unfollow', { room: channel }),
      () => rpc('read', { room: channel }),
      () => rpc('list', {}),
      () => ({ history: { channel, limit: 20 } }),
      () => ({ presence: { channel } }),
      () => ({ subscribe: { channel: `chat:none of ${below(ROOMS)}` } }),
      () => ({ unsubscribe: { channel: `chat:none of ${below(ROOMS)}` } }),
      () => rpc('nothing', {}),
    ];
    const publish = { publish: { channel, data: { text: words(), cid: `${++this.nth}` } } };
    await this.#ask(c, below(3) ? publish : pick(acts)());
  }

  async #ask(c, command) {
    const { text, value } = await c.reply(c.command(command));
    const error = value.error?.code;
    if (error && error !== 105 && !HARMLESS.has(error)) throw new Error(`${JSON.stringify(command)}: ${text}`);
    this.#count(error ? `error ${error}` : Object.keys(command)[0]);
  }

  // ---- applications ------------------------------------------------------------------------------

  async #call() {
    const channel = chat();
    const user = `user${below(USERS)}`;
    const [method, params] = pick([
      ['publish', { channel, data: words() }],
      ['publish', { channel: `brief:${++this.nth}`, data: words() }],
      ['publish', { channel, data: 1, idempotency_key: `k${below(1000)}` }],
      ['broadcast', { channels: [chat(), chat()], data: words() }],
      ['history', { channel, limit: 10 }],
      ['presence_stats', { channel }],
      ['channels', {}],
      ['disconnect', { user: `nobody${below(1000)}` }],
      ['follow', { user, channel }],
      ['unfollow', { user, channel }],
      ['queue_stats', { queue: 'work' }],
      ['queue_dead', { queue: 'work', limit: 10 }],
      ['no such method', {}],
    ]);
    const { body } = await post(pick(this.gateways), `/api/${encodeURIComponent(method)}`, params);
    const { error } = method.includes(' ') ? {} : JSON.parse(body);
    if (error && !HARMLESS.has(error.code)) throw new Error(`${method}: ${body}`);
  }

  // The configuration is read again; dead jobs are tried again or thrown away.
  async #operate() {
    if (below(20) === 0) pick(this.gateways).signal('SIGHUP');
    if (below(40) === 0) await this.#api().ok('queue_retry', { queue: 'work', limit: 20 });
    if (below(40) === 0) await this.#api().ok('queue_purge', { queue: 'work', limit: 20 });
  }

  // ---- jobs --------------------------------------------------------------------------------------

  async #put(target) {
    const n = ++this.nth;
    const [queue, job] = pick([
      ['work', {}],
      ['work', { delay_ms: below(2000) }],
      ['work', { group: `g${below(50)}` }],
      ['work', { key: `key${below(5000)}`, priority: below(4) }],
      ['work', { key: `window${n}`, key_mode: 'window', ttl_ms: 1 + below(3000) }],
      ['_publish', { kind: 'publish', delay_ms: below(3000), data: { channel: chat(), data: n } }],
      ['_webhook', { kind: 'webhook', data: { url: `${target.url}/hook`, body: { n } } }],
    ]);
    const { error } = await this.#api().call('queue_put', { queue, jobs: [{ kind: 'k', data: words(), ...job }] });
    if (error && !HARMLESS.has(error.code)) throw new Error(`put: ${JSON.stringify(error)}`);
  }

  async #take(owner) {
    const api = this.#api();
    const jobs = await this.#job(api, 'take', { queue: 'work', max: 1 + below(5), lease_ms: 1000, wait_ms: 200, owner });
    for (const { id, token: lease } of jobs) {
      const [verb, how] = pick([['ack', {}], ['ack', {}], ['ack', { result: 'done' }], ['nack', {}], ['release', {}], ['extend', { lease_ms: 500 }], []]);
      if (verb) await this.#job(api, verb, { jobs: [{ id, token: lease, ...how }] });
      else this.#count('forget');
    }
  }

  // On a machine that has too much to do a call may take too long (100): its job is taken again, or acked already.
  async #job(api, verb, params) {
    const { result, error } = await api.call(`queue_${verb}`, params);
    if (error && error.code !== 100) throw new Error(`${verb}: ${JSON.stringify(error)}`);
    this.#count(error ? 'error 100' : verb);
    return result?.jobs ?? [];
  }

  // Everybody goes. A failure of anything is told here.
  async end() {
    this.over = true;
    await this.failed;
    this.target.close();
  }
}
