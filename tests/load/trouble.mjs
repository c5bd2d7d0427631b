// SPDX-License-Identifier: MIT
//
// What happens to everybody else while something is wrong, or very large. Each scenario takes a
// scale: 1 is the real size, less is for the short tests. Every delivery is checked in all of them; how long
// one took, only where `timed` says that the machine has nothing else to do.

import { get } from 'node:http';

import { load, median, sleep, startGateway, startLoad } from './tool.mjs';

const GATEWAY_CPU = 0;
const LOAD_CPU = 1;
const MIB = 1048576;

async function withGateway(options, work) {
  const gateway = await startGateway({ cpu: options.hubs === 2 ? undefined : GATEWAY_CPU, ...options });
  try {
    return await work(gateway);
  } finally {
    await gateway.stop();
  }
}

async function checked(options, gateway) {
  const { code, report, err } = await load({ quiet: true, ...options }, { gateway, cpu: LOAD_CPU });
  if (code !== 0) throw new Error(err);
  return report;
}

// The samples of /metrics as {name: sum over labels}.
function metrics(port) {
  return new Promise((settle, fail) => {
    const request = get({ host: '127.0.0.1', port, path: '/metrics' }, (response) => {
      let text = '';
      response.on('data', (data) => (text += data));
      response.on('end', () => {
        const sums = {};
        for (const [, name, value] of text.matchAll(/^([a-z_0-9]+)(?:\{[^}]*\})? ([-+.0-9eE]+)$/gm))
          sums[name] = (sums[name] ?? 0) + Number(value);
        settle(sums);
      });
    });
    request.on('error', fail);
  });
}

const scaled = (number, scale, least) => Math.max(least, Math.round(number * scale));

const connects = {
  title: 'connects as fast as they come',
  async run({ scale, turns }) {
    const found = [];
    const sessions = scaled(5000, scale, 500);
    for (let i = 0; i < Math.min(turns, 3); i++) {
      const options = { sessions, rooms: sessions / 10, in_flight: 0, duration: 0 };
      found.push(await withGateway({}, (gateway) => checked(options, gateway)));
    }
    const middle = (name) => median(found.map((report) => report[name]));
    return [
      { what: 'connects per second, subscribed', value: middle('connects_per_s'), digits: 0 },
      { what: 'gateway CPU per connect, us', value: middle('connect_cpu_us'), digits: 1 },
    ];
  },
};

const idle = {
  title: '19 000 idle connections on one gateway',
  async run({ scale }) {
    const sessions = scaled(19000, scale, 1000);
    const settle = scale < 1 ? 1 : 30; // long enough for pings
    const options = { sessions, rooms: sessions / 10, in_flight: 0, duration: 0, settle };
    const report = await withGateway({ args: ['--max-connections', '19500'] }, (gateway) => checked(options, gateway));
    const value = report.memory_per_connection_bytes / 1024;
    return [
      { what: 'connections', value: report.sessions, digits: 0, least: sessions },
      { what: 'KiB per connection', value, digits: 2, limit: scale < 1 ? undefined : 2.75 },
      { what: 'connects per second', value: report.connects_per_s, digits: 0 },
    ];
  },
};

const slowReader = {
  title: 'one slow reader among 1000',
  async run({ scale, turns, say, timed = scale === 1 }) {
    const sessions = scaled(1000, scale, 100);
    const common = { sessions, rooms: 1, rate: 100, size: 4000, duration: scale < 1 ? 2 : 6, patience: 60 };
    const alone = [];
    const beside = [];
    for (let i = 0; i < turns; i++) {
      // A gateway of its own for each, so that the memory of one run is not that of the other.
      alone.push(await withGateway({}, (gateway) => checked(common, gateway)));
      beside.push(await withGateway({}, (gateway) => checked({ ...common, slow: 1 }, gateway)));
      say(`p99 ${alone.at(-1).latency_p99_us} us, beside a slow reader ${beside.at(-1).latency_p99_us} us`);
    }
    const middle = (list, name) => median(list.map((report) => report[name]));
    const ratio = middle(beside, 'latency_p99_us') / middle(alone, 'latency_p99_us');
    const grown = middle(beside, 'memory_peak_mib') - middle(alone, 'memory_peak_mib');
    const closes = beside.map((report) => report.closes);
    return [
      { what: 'p99 of the others, with / without', value: ratio, digits: 2, limit: timed ? 1.5 : undefined },
      { what: 'more memory, MiB', value: grown, digits: 1, limit: 16, details: { closes } },
    ];
  },
};

const bigRoom = {
  title: 'a busy room of 15 000 beside small rooms on one hub',
  async run({ scale, say, timed = scale === 1 }) {
    return withGateway({}, async (gateway) => {
      const seconds = scale < 1 ? 4 : 12;
      const big = await startLoad(
        { sessions: scaled(15000, scale, 1000), rooms: 1, prefix: 'big-', rate: 10, warmup: 0, duration: seconds },
        { gateway, cpu: LOAD_CPU },
      );
      await big.said('phase measure');
      const small = await checked(
        { sessions: 500, rooms: 100, prefix: 'small-', rate: 500, warmup: 0.5, duration: seconds / 2, settle: 0 },
        gateway,
      );
      const { code, err, report } = await big.finish();
      if (code !== 0) throw new Error(err);
      say(`the big room: p50 ${report.latency_p50_us} us, p99 ${report.latency_p99_us} us`);
      const value = small.latency_p99_us / 1000;
      return [{ what: 'p99 of the small rooms, ms', value, digits: 2, limit: timed ? 20 : undefined }];
    });
  },
};

// Little room in the inbox and much in the stream, so that falling behind is quick and filling can
// succeed; and a queue for each session, and for all of them, that holds everything, since here the generator shares a
// core with a hub and may itself be what is slow.
const heldUpArgs = ['--hub-inbox-bytes', '64KiB', '--rooms-history-bytes', '64MiB'];
heldUpArgs.push('--rooms-history-size', '100000', '--queue-bytes', '16MiB', '--hub-queue-bytes', '4GiB', '--queue-time', '60s');

const heldUp = {
  title: 'a hub that is held up while others flood',
  async run({ scale, say }) {
    return withGateway({ hubs: 2, args: heldUpArgs }, async (gateway) => {
      // Each second session listens, so all listeners are on one hub and all publishers on the other.
      const options = { sessions: scaled(4000, scale, 1000), split: 2, rooms: 1, size: 1000, await_reply: true };
      const burst = { in_flight: 512, messages: scaled(4000, scale, 1000), warmup: 0, patience: 60, duration: 60 };
      const before = await metrics(gateway.port);
      const report = await checked({ ...options, ...burst }, gateway);
      const after = await metrics(gateway.port);
      const moved = (pattern) =>
        Object.keys(after)
          .filter((name) => pattern.test(name))
          .reduce((sum, name) => sum + after[name] - (before[name] ?? 0), 0);
      say(`latency p50 ${report.latency_p50_us} us, max ${report.latency_max_us} us`);
      const grown = report.memory_peak_mib - report.memory_idle_bytes / MIB;
      return [
        { what: 'publications, all delivered', value: report.all_publications, digits: 0, least: burst.messages },
        { what: 'times it fell behind', value: moved(/behind/), digits: 0, least: scale < 1 ? undefined : 1 },
        { what: 'times it was filled', value: moved(/fill/), digits: 0, least: scale < 1 ? undefined : 1 },
        { what: 'more memory at the peak, MiB', value: grown, digits: 1, limit: 192 },
      ];
    });
  },
};

const cuts = {
  title: 'connections that are cut all the time',
  async run({ scale }) {
    // So many that most are connected, however long it takes to come back: who is not cannot be cut.
    const options = { sessions: scaled(1000, scale, 400), rooms: 20, rate: 200, recover: true, cut: 100 };
    const duration = scale < 1 ? 3 : 10;
    const report = await withGateway({}, (gateway) => checked({ ...options, duration }, gateway));
    return [
      { what: 'connections cut', value: report.cuts, digits: 0, least: duration * 50 },
      { what: 'subscriptions recovered', value: report.recovered, digits: 0, least: duration * 50 },
      { what: 'told of a gap', value: report.told, digits: 0, limit: 0 },
    ];
  },
};

const sigterm = {
  title: 'SIGTERM under load',
  async run({ scale }) {
    const sessions = scaled(5000, scale, 500);
    const gateway = await startGateway({ cpu: GATEWAY_CPU });
    try {
      const options = { sessions, rooms: sessions / 10, rate: 200, expect_close: 3001, patience: 30 };
      const run = await startLoad(options, { gateway, cpu: LOAD_CPU });
      await run.said('phase traffic');
      await sleep(1000);
      const begin = Date.now();
      gateway.child.kill('SIGTERM');
      const { code, err, report } = await run.finish();
      const exit = await gateway.done;
      const seconds = (Date.now() - begin) / 1000;
      if (code !== 0) throw new Error(err);
      if (exit.code !== 0) throw new Error(`the gateway ended with ${exit.code ?? exit.signal}: ${exit.err}`);
      return [
        { what: 'sessions closed with 3001', value: report.closes['3001'] ?? 0, digits: 0, least: sessions },
        { what: 'seconds to the exit', value: seconds, digits: 2, limit: 10 },
      ];
    } finally {
      gateway.child.kill('SIGKILL');
    }
  },
};

export const troubles = {
  connects,
  idle,
  'slow-reader': slowReader,
  'big-room': bigRoom,
  'held-up-hub': heldUp,
  cuts,
  sigterm,
};
