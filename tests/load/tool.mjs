// SPDX-License-Identifier: MIT
//
// Running the load tools and the gateway from scripts: where they are, starting, waiting, ending.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort } from '../lib/ports.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

export const gatewayBinary = resolve(process.env.MADANG_BIN ?? join(root, 'build/release/madang'));

// MADANG_LOAD names the generator; the floor lies beside it.
const loadBinary = resolve(process.env.MADANG_LOAD ?? join(root, 'build/release/madang-load'));
export const toolBinary = (name) => join(dirname(loadBinary), name);

export function requireBinaries(...names) {
  for (const path of names) {
    if (!existsSync(path)) throw new Error(`${path} does not exist: build first (make build)`);
  }
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const pinned = (cpu, command, args) =>
  cpu === undefined ? [command, args] : ['taskset', ['-c', String(cpu), command, ...args]];

// A child whose output is kept. `done` resolves to {code, signal, out, err} and never rejects for
// an exit code; the caller judges.
export function start(command, args, { cpu, relay = false } = {}) {
  const [program, argv] = pinned(cpu, command, args);
  const stdio = ['ignore', 'pipe', 'pipe', ...(relay ? ['pipe', 'pipe'] : [])];
  const child = spawn(program, argv, { stdio });
  const kept = { out: '', err: '' };
  child.stdout.on('data', (data) => (kept.out += data));
  child.stderr.on('data', (data) => (kept.err += data));
  const done = new Promise((settle, fail) => {
    child.on('error', fail);
    child.on('close', (code, signal) => settle({ code, signal, ...kept }));
  });
  // Resolves when the text has appeared on stderr, or rejects when the child ends without it.
  const said = (wanted) =>
    new Promise((settle, fail) => {
      const look = () => kept.err.includes(wanted) && settle();
      child.stderr.on('data', look);
      child.on('close', () => fail(new Error(`it ended before it said '${wanted}': ${kept.err}`)));
      look();
    });
  return { child, done, said, kept, pid: child.pid };
}

function ready(port) {
  return new Promise((settle) => {
    const request = get({ host: '127.0.0.1', port, path: '/readyz', timeout: 1000 }, (response) => {
      response.resume();
      settle(response.statusCode === 200);
    });
    request.on('error', () => settle(false));
    request.on('timeout', () => request.destroy());
  });
}

// A gateway on a free port, without a store unless one is named; `stop` ends it by SIGTERM and gives
// its exit.
export async function startGateway({ args = [], cpu, hubs = 1, store = 'none' } = {}) {
  const port = await freePort();
  const common = ['serve', '--listen', `127.0.0.1:${port}`, '--auth', 'insecure', '--store', store];
  if (hubs) common.push('--hubs', String(hubs));
  const gateway = start(gatewayBinary, [...common, ...args], { cpu });
  let ended = null;
  gateway.done.then((exit) => (ended = exit));
  for (let tries = 0; !(await ready(port)); tries++) {
    if (ended || tries > 200) {
      gateway.child.kill('SIGKILL');
      throw new Error(`the gateway did not become ready: ${gateway.kept.out}${gateway.kept.err}`);
    }
    await sleep(50);
  }
  const stop = async () => {
    if (!ended) gateway.child.kill('SIGTERM');
    return gateway.done;
  };
  return { port, pid: gateway.pid, child: gateway.child, done: gateway.done, kept: gateway.kept, stop };
}

// {sessions: 5, await_reply: true} → --sessions 5 --await-reply
export function flags(options) {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replaceAll('_', '-')}`;
    return value === true ? [flag] : value === false || value === undefined ? [] : [flag, String(value)];
  });
}

// A report is written to a folder that lives as long as the run.
async function withReport(program, options, { cpu, gateway, relay } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'madang-load-'));
  const json = join(folder, 'report.json');
  const where = gateway ? { port: gateway.port, pid: gateway.pid } : {};
  const run = start(toolBinary(program), flags({ ...where, ...options, json }), { cpu, relay });
  const finish = async () => {
    const exit = await run.done;
    const report = existsSync(json) ? JSON.parse(readFileSync(json, 'utf8')) : null;
    rmSync(folder, { recursive: true });
    return { ...exit, report };
  };
  return { ...run, finish };
}

// Starts a load run; `finish()` gives {code, report, out, err}.
export const startLoad = (options, where) => withReport('madang-load', options, where);

export async function load(options, where) {
  return (await startLoad(options, where)).finish();
}

// What comes out of one's descriptor 4 goes into the other's descriptor 3.
function hand(from, to) {
  to.child.stdio[3].on('error', () => {}); // the other one is done
  from.child.stdio[4].pipe(to.child.stdio[3]);
}

// Load and floor at the same time, taking turns of `slice` ms: {load, floor}, their reports.
export async function race({ slice, ...loadOptions }, floorOptions, { gateway, cpu }) {
  const bare = await withReport('madang-floor', { ...floorOptions, slice }, { relay: true });
  const loaded = await withReport('madang-load', { ...loadOptions, slice }, { gateway, cpu, relay: true });
  hand(loaded, bare);
  hand(bare, loaded);
  const [a, b] = await Promise.all([loaded.finish(), bare.finish()]);
  if (a.code !== 0 || b.code !== 0) throw new Error(a.err + b.err);
  return { load: a.report, floor: b.report };
}

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
