// SPDX-License-Identifier: MIT
//
// The queue beside what one would take otherwise, each through the door that its users have, on this machine, in one
// run: how many jobs go in per second, how many go through, how soon a job is picked up at 30 % of that, what a job
// that waits takes up. Every job has to be done, and once.
//
// The programs on both sides are Node's, one process each, for all alike (rivals/), and share the machine with the
// server. So these are figures of whole systems; the CPU time of server and programs is told apart.

import { execFileSync, fork } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort } from '../lib/ports.mjs';
import { Redis } from '../lib/redis.mjs';
import { gatewayBinary, median, sleep, start, startGateway } from './tool.mjs';

const BATCH = 64; // jobs in a call, where there are such calls
const LANES = 4; // calls at a time, and workers
const LIMIT = 120_000; // ms, against hanging
const KEY = 'the-key-of-the-bench';
const rivals = join(dirname(fileURLToPath(import.meta.url)), 'rivals');

// ---- servers: { where, pids, disk() in bytes, stop() } --------------------------------------------

const bytesOf = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile() && !one.name.endsWith('.ballast'))
    .reduce((sum, one) => sum + statSync(join(one.path, one.name)).size, 0);

async function gatewayWithStore(folder) {
  const args = ['--api-key', KEY];
  const gateway = await startGateway({ store: join(folder, 'jobs.db'), args, hubs: 0 });
  const where = { port: gateway.port, key: KEY };
  return { where, pids: [gateway.pid], disk: () => bytesOf(folder), stop: gateway.stop };
}

const syncs = { none: [], everysec: ['--appendonly', 'yes', '--appendfsync', 'everysec'], always: ['--appendonly', 'yes', '--appendfsync', 'always'] };

async function redisServer(folder, sync, more) {
  const redis = new Redis(await freePort(), folder, [...syncs[sync], '--auto-aof-rewrite-percentage', '0']);
  await redis.restart();
  const where = { redis: redis.url, ...more };
  return { where, redis, pids: [redis.child.pid], disk: () => bytesOf(folder), stop: () => redis.kill() };
}

// A gateway brings the functions; `stays`: it also stands between.
async function gatewayOverRedis(folder, sync, stays) {
  const server = await redisServer(folder, sync);
  const gateway = await startGateway({ args: ['--backplane', 'redis', '--redis-url', server.redis.url, '--api-key', KEY], hubs: 0 });
  while ((await server.redis.say('FUNCTION', 'LIST', 'LIBRARYNAME', 'madang_queue')).length === 0) await sleep(20);
  const stop = async () => {
    await gateway.stop();
    await server.stop();
  };
  const where = { ...server.where, port: gateway.port, key: KEY };
  return { ...server, where, pids: [...server.pids, ...(stays ? [gateway.pid] : [])], stop };
}

// Its log is made of files of one size, full of zeros behind what was written.
function writtenIn(path) {
  const size = statSync(path).size;
  const piece = Buffer.alloc(65536);
  const file = openSync(path);
  let end = 0;
  for (let at = 0; at < size; at += piece.length) {
    const n = readSync(file, piece, 0, piece.length, at);
    let last = n;
    while (last > 0 && piece[last - 1] === 0) last--;
    if (last > 0) end = at + last;
  }
  closeSync(file);
  return end;
}

async function beanstalkd(folder, words) {
  const port = await freePort();
  const server = start('beanstalkd', ['-l', '127.0.0.1', '-p', String(port), '-b', folder, ...words]);
  await sleep(300);
  const logs = () => readdirSync(folder).filter((name) => /^binlog\.\d+$/.test(name));
  const disk = () => logs().reduce((sum, name) => sum + writtenIn(join(folder, name)), 0);
  const stop = () => {
    server.child.kill('SIGTERM');
    return server.done;
  };
  return { where: { port, lanes: LANES }, pids: [server.pid], disk, stop };
}

const overRedis = (sync) => ({ survives: { none: 'nothing', everysec: 'a crash; power loss but for 2 s', always: 'power loss' }[sync], sync });

const systems = [
  { name: 'madang, HTTP, store', survives: 'power loss', client: 'madang', server: gatewayWithStore },
  ...['everysec', 'always'].map((sync) => ({
    name: `madang, HTTP, Redis ${sync}`, ...overRedis(sync), client: 'madang', server: (folder) => gatewayOverRedis(folder, sync, true),
  })),
  ...['none', 'everysec', 'always'].map((sync) => ({
    name: `madang, FCALL, Redis ${sync}`, ...overRedis(sync), client: 'functions', server: (folder) => gatewayOverRedis(folder, sync, false),
  })),
  { name: 'beanstalkd -b -f0', survives: 'power loss', client: 'beanstalk', server: (folder) => beanstalkd(folder, ['-f0']) },
  { name: 'BullMQ add, Redis everysec', ...overRedis('everysec'), client: 'bullmq', server: (folder) => redisServer(folder, 'everysec', { bulk: false }) },
  ...['none', 'everysec', 'always'].map((sync) => ({
    name: `BullMQ addBulk, Redis ${sync}`, ...overRedis(sync), client: 'bullmq', server: (folder) => redisServer(folder, sync, { bulk: true }),
  })),
  ...['none', 'everysec', 'always'].map((sync) => ({
    name: `stream, Redis ${sync}`, ...overRedis(sync), client: 'stream', server: (folder) => redisServer(folder, sync),
  })),
];

// ---- what processes take --------------------------------------------------------------------------

const TICKS = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

function cpuOf(pids) {
  const ticks = pids.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, n) => sum + n, 0) / TICKS;
}

const memoryOf = (pids) =>
  pids.reduce((sum, pid) => sum + Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024, 0);

// ---- one side, in a process of its own -------------------------------------------------------------

class Side {
  static async begin(client) {
    const side = new Side(client);
    await side.answer;
    return side;
  }

  constructor(client) {
    this.child = fork(join(rivals, 'side.mjs'), [client]);
    this.child.on('message', (message) => this.told(message));
    this.child.on('exit', () => this.told({ error: 'the process has ended' }));
    this.answer = this.#next();
  }

  #next() {
    return new Promise((settle, fail) => {
      this.told = ({ result, error }) => (error ? fail(new Error(error)) : settle(result));
    });
  }

  async ask(order, argument) {
    const answer = this.#next();
    const timer = setTimeout(() => this.told({ error: `no end of '${order}' within ${LIMIT / 1000} s` }), LIMIT);
    this.child.send([order, argument]);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }

  end() {
    if (this.child.connected) this.child.disconnect();
  }
}

// ---- one system ------------------------------------------------------------------------------------

class Run {
  constructor(server, producer, consumer) {
    Object.assign(this, { server, producer, consumer, next: 1 });
  }

  #numbers(count) {
    const first = this.next;
    this.next += count;
    return { first, count };
  }

  async #consuming(what) {
    await this.consumer.ask('consume', { where: this.server.where, batch: BATCH, lanes: LANES });
    const result = await what();
    await this.consumer.ask('close');
    return result;
  }

  // In, while nobody takes, and out again.
  async fill(count) {
    const { server } = this;
    const numbers = this.#numbers(count);
    const before = { disk: server.disk(), memory: memoryOf(server.pids) };
    const { seconds } = await this.producer.ask('put', { ...numbers, batch: BATCH, lanes: LANES });
    const disk = (server.disk() - before.disk) / count;
    const memory = (memoryOf(server.pids) - before.memory) / count;
    await this.#consuming(() => this.consumer.ask('expect', numbers));
    return { put: count / seconds, disk, memory };
  }

  // In and out at the same time.
  through(count) {
    return this.#consuming(async () => {
      const numbers = this.#numbers(count);
      const sides = [this.producer, this.consumer];
      const cpus = async () => (await Promise.all(sides.map((side) => side.ask('cpu')))).reduce((a, b) => a + b);
      const [server, programs] = [cpuOf(this.server.pids), await cpus()];
      const { begin } = await this.producer.ask('put', { ...numbers, batch: BATCH, lanes: LANES });
      const { end } = await this.consumer.ask('expect', numbers);
      return {
        rate: (count * 1000) / (end - begin),
        server: ((cpuOf(this.server.pids) - server) * 1e6) / count,
        programs: (((await cpus()) - programs) * 1e6) / count,
      };
    });
  }

  latency(rate, seconds) {
    return this.#consuming(async () => {
      await sleep(100);
      const numbers = this.#numbers(Math.max(50, Math.round(rate * seconds)));
      await this.producer.ask('pace', { ...numbers, rate });
      return this.consumer.ask('expect', numbers);
    });
  }
}

async function measure(run, { turns, scale }) {
  const clamp = (n) => Math.round(Math.min(Math.max(n, 500), 20_000));
  const { put: rough } = await run.fill(500);
  const count = clamp((rough / 2) * scale); // half a second of puts
  const fills = [];
  const passes = [];
  for (let i = 0; i < turns; i++) {
    fills.push(await run.fill(count));
    passes.push(await run.through(clamp(count / 2)));
  }
  const middle = (list, pick) => median(list.map(pick));
  const rate = middle(passes, (one) => one.rate);
  const { p50, p99 } = await run.latency(rate * 0.3, 2 * scale);
  return {
    count, rate, p50, p99,
    put: middle(fills, (one) => one.put),
    server: middle(passes, (one) => one.server),
    programs: middle(passes, (one) => one.programs),
    disk: fills[0].disk, memory: fills[0].memory,
  };
}

async function withSystem({ client, server: begin }, how) {
  const folder = mkdtempSync(join(dirname(gatewayBinary), 'queues-'));
  const undo = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const server = await begin(folder);
    undo.unshift(() => server.stop());
    const sides = [];
    undo.unshift(() => sides.forEach((side) => side.end()));
    for (let i = 0; i < 2; i++) sides.push(await Side.begin(client));
    await sides[0].ask('produce', server.where);
    return await measure(new Run(server, ...sides), how);
  } finally {
    for (const step of undo) await step();
  }
}

const number = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ' ');

const columns = [
  ['system', ({ name }) => name],
  ['survives', ({ survives }) => survives],
  ['put/s', ({ put }) => number(put)],
  ['through/s', ({ rate }) => number(rate)],
  ['picked up, ms: p50', ({ p50 }) => p50.toFixed(1)],
  ['p99', ({ p99 }) => p99.toFixed(1)],
  ['CPU µs: server', ({ server }) => number(server)],
  ['programs', ({ programs }) => number(programs)],
  ['bytes: disk', ({ disk }) => number(disk)],
  ['memory', ({ memory }) => number(memory)],
];

const versionIn = (...command) => execFileSync(command[0], command.slice(1), { encoding: 'utf8' }).match(/\d+(\.\d+)+/)[0];

function versions() {
  const { version } = JSON.parse(readFileSync(join(rivals, 'node_modules/bullmq/package.json'), 'utf8'));
  const redis = versionIn('redis-server', '--version');
  return `redis-server ${redis}, beanstalkd ${versionIn('beanstalkd', '-v')}, BullMQ ${version}, Node ${process.versions.node}`;
}

async function compare({ turns, scale, say }) {
  if (!existsSync(join(rivals, 'node_modules'))) throw new Error('tests/load/rivals has no packages: make bench fetches them');
  say(versions());
  const line = (cells) => say(`| ${cells.join(' | ')} |`);
  line(columns.map(([title]) => title));
  line(columns.map((_, i) => (i < 2 ? '---' : '---:')));
  const rows = [];
  for (const system of systems) {
    const found = { ...system, ...(await withSystem(system, { turns: Math.min(turns, 3), scale })) };
    line(columns.map(([, cell]) => cell(found)));
    const { name, client, server, ...details } = found;
    rows.push({ what: name, value: found.rate, digits: 0, details });
  }
  return rows;
}

export const queues = {
  queues: { title: 'jobs through madang, beanstalkd, BullMQ and a stream of Redis, per second', run: compare },
};
