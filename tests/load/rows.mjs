// SPDX-License-Identifier: MIT
//
// The budget rows: the gateway's CPU per delivery beside the floor, the bare send() loop over as
// many sockets on the same core. Load and floor take turns every 100 ms, so that both see the same
// machine; the ratio of a run is the median over these pairs, and the median of five runs counts.

import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { gatewayBinary, load, median, race, startGateway } from './tool.mjs';

const GATEWAY_CPU = 0;
const LOAD_CPU = 1;

// One session publishes, so that what is under way waits in one socket. Where everybody publishes in
// turn (row-2-all), a closed loop settles into two groups, one on its way out while the other is on
// its way in, and a frame carries half as many: that is shown, not judged.
const one = { sessions: 1000, publishers: 1, rooms: 1, in_flight: 1 };
const hundred = { sessions: 1000, rooms: 100, in_flight: 200 };
const kept = { cid: true, size: 144 };

const rows = {
  'row-1': { title: 'one room of 1000, one message at a time', budget: 1.2, options: one },
  'row-2': { title: 'one room of 1000, 16 in flight', budget: 0.12, options: { ...one, in_flight: 16 } },
  'row-2-all': { title: 'the same, everybody publishes', options: { ...one, publishers: 0, in_flight: 16 } },
  'row-3': { title: '100 rooms of 10, 200 in flight', budget: 0.9, options: hundred },
  'row-4': { title: 'one room of 15 000', budget: 1.35, options: { ...one, sessions: 15000 } },
};

// The frames that the floor sends are as large as the gateway's.
async function frameSize(gateway, options) {
  const probe = { ...options, warmup: 0, messages: 2 * options.in_flight, settle: 0, quiet: true };
  const { code, report, err } = await load(probe, { gateway, cpu: LOAD_CPU });
  if (code !== 0) throw new Error(err);
  return Math.max(180, Math.round(report.bytes_per_delivery));
}

async function turn(gateway, options, frame, seconds) {
  // Long enough for some rounds, short enough that the machine is the same for both.
  const slice = options.sessions > 5000 ? 500 : 100;
  const timing = { warmup: seconds / 4, duration: seconds, settle: 0, quiet: true, slice };
  const where = { gateway, cpu: LOAD_CPU };
  const bare = { sockets: options.sessions, frame_bytes: frame, send_cpu: GATEWAY_CPU, read_cpu: LOAD_CPU };
  const found = await race({ ...options, ...timing }, bare, where);
  const pairs = found.floor.slices_ns_per_send.map((ns, i) => found.load.slices_ns_per_delivery[i] / ns);
  return { report: found.load, floor: median(found.floor.slices_ns_per_send), ratio: median(pairs) };
}

async function measure({ options, turns, seconds, hubs, store }, say) {
  const gateway = await startGateway({ cpu: hubs === 1 ? GATEWAY_CPU : undefined, hubs, store });
  const results = [];
  try {
    const frame = await frameSize(gateway, options);
    for (let i = 0; i < turns; i++) {
      results.push(await turn(gateway, options, frame, seconds));
      const { report, floor: bare, ratio } = results.at(-1);
      say(`${report.cpu_ns_per_delivery} ns, floor ${bare.toFixed(0)} ns, ratio ${ratio.toFixed(3)}`);
    }
  } finally {
    await gateway.stop();
  }
  return results;
}

const figure = (results, pick) => median(results.map(pick));

function summary(results) {
  return {
    ratio: figure(results, (r) => r.ratio),
    cpu_ns_per_delivery: figure(results, (r) => r.report.cpu_ns_per_delivery),
    floor_ns: figure(results, (r) => r.floor),
    deliveries_per_s: figure(results, (r) => r.report.deliveries_per_s),
    publications_per_s: figure(results, (r) => r.report.publications_per_s),
    latency_p50_us: figure(results, (r) => r.report.latency_p50_us),
    latency_p99_us: figure(results, (r) => r.report.latency_p99_us),
    ratios: results.map((r) => r.ratio),
  };
}

function cpuScenario({ title, budget, options }, hubs) {
  return {
    title: hubs === 1 ? title : `${title}, default number of hubs`,
    async run({ turns, seconds, say }) {
      const found = summary(await measure({ options, turns, seconds, hubs }, say));
      const limit = hubs === 1 ? budget : undefined;
      return [{ what: 'CPU per delivery / floor', value: found.ratio, digits: 3, limit, details: found }];
    },
  };
}

// ---- the default configuration: as many hubs as cores, and a store whose commits are synced

// A folder on the disk of the build.
async function withFolder(work) {
  const folder = mkdtempSync(join(dirname(gatewayBinary), 'madang-bench-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// us that it takes to append a page to a file and to sync it, of the calls beside nothing else.
function syncTimes(folder) {
  const page = Buffer.alloc(4096, 'x');
  const times = [];
  const fd = openSync(join(folder, 'page'), 'w');
  for (let i = 0; i < 300; i++) {
    const began = process.hrtime.bigint();
    writeSync(fd, page);
    fdatasyncSync(fd);
    times.push(Number(process.hrtime.bigint() - began) / 1e3);
  }
  closeSync(fd);
  times.sort((a, b) => a - b);
  return { p50: times[150], p99: times[297] };
}

async function latencyAt(rate, seconds, store) {
  const gateway = await startGateway({ hubs: 0, store });
  const options = { ...hundred, ...kept, in_flight: undefined, rate, warmup: seconds / 4, duration: seconds, settle: 0, quiet: true };
  try {
    const { code, report, err } = await load(options, { gateway, cpu: LOAD_CPU });
    if (code !== 0) throw new Error(err);
    return report;
  } finally {
    await gateway.stop();
  }
}

const byDefault = {
  title: '100 rooms of 10, 200 in flight, default configuration: all hubs, each commit synced, keys',
  run: ({ turns, seconds, say }) =>
    withFolder(async (folder) => {
      const options = { ...hundred, ...kept };
      const found = summary(await measure({ options, turns, seconds, hubs: 0, store: join(folder, 'madang.db') }, say));
      const sync = syncTimes(folder);
      const rate = Math.round(found.publications_per_s * 0.3);
      const calm = await latencyAt(rate, seconds, join(folder, 'calm.db'));
      const calmBare = await latencyAt(rate, seconds, 'none');
      const ms = (what, us) => ({ what, value: us / 1e3, digits: 2 });
      return [
        { what: 'CPU per delivery / floor', value: found.ratio, digits: 3, limit: 1.5, details: found },
        { what: 'publications per second', value: found.publications_per_s, digits: 0 },
        ms('p50 at 30 % of that, ms', calm.latency_p50_us),
        ms('p99 at 30 % of that, ms', calm.latency_p99_us),
        ms('p50 without a store, ms', calmBare.latency_p50_us),
        ms('p99 without a store, ms', calmBare.latency_p99_us),
        ms('write and fdatasync alone, p50, ms', sync.p50),
        ms('write and fdatasync alone, p99, ms', sync.p99),
      ];
    }),
};

const memory = {
  title: 'memory per idle connection with one subscription, at 10 000',
  async run({ turns, say }) {
    const found = [];
    for (let i = 0; i < Math.min(turns, 3); i++) {
      const gateway = await startGateway({ cpu: GATEWAY_CPU });
      const options = { sessions: 10000, rooms: 1000, in_flight: 0, duration: 0, settle: 2, quiet: true };
      const { code, report, err } = await load(options, { gateway, cpu: LOAD_CPU });
      await gateway.stop();
      if (code !== 0) throw new Error(err);
      found.push(report.memory_per_connection_bytes);
      say(`${found.at(-1)} bytes`);
    }
    const value = median(found) / 1024;
    return [{ what: 'KiB per connection', value, digits: 2, limit: 2.75, details: { bytes: found } }];
  },
};

export const budgets = Object.fromEntries([
  ...Object.entries(rows).map(([name, row]) => [name, cpuScenario(row, 1)]),
  ['row-5', memory],
  ['row-6', byDefault],
  ...['row-1', 'row-2', 'row-3'].map((name) => [`${name}-hubs`, cpuScenario(rows[name], 0)]),
]);
