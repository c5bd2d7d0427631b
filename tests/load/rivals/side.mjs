// SPDX-License-Identifier: MIT
//
// node side.mjs CLIENT, started with a channel: one side of a comparison, producer or consumer, in a process of its
// own. It does what the messages ask for, one at a time, and answers each with { result } or { error }.
//
// A job is { n, at, pad }, about 200 bytes of JSON: its number, when it was due, by the clock that all processes
// of a machine share, and nothing.

const { producer, consumer } = await import(`./${process.argv[2]}.mjs`);
const pad = 'x'.repeat(154);
const now = () => Number(process.hrtime.bigint()) / 1e6; // ms
const make = (n, at) => ({ n, at: Math.round(at * 1000) / 1000, pad });

let door = null;
let seen = new Map(); // number to how often
let latencies = [];
let done = 0;
let want = { count: Infinity, settle: () => {} };
let trouble = null;

function picked({ n, at }) {
  seen.set(n, (seen.get(n) ?? 0) + 1);
  latencies.push(now() - at);
}

function acked(n) {
  done += n;
  if (done >= want.count) want.settle();
}

function failed(error) {
  trouble = error;
  want.settle();
}

const percentile = (sorted, p) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))];
const cpu = () => Object.values(process.cpuUsage()).reduce((sum, us) => sum + us, 0) / 1e6;

const orders = {
  produce(where) {
    door = producer(where);
  },

  // `count` jobs from number `first` on, in calls of `batch`, `lanes` of them at a time.
  async put({ first, count, batch, lanes }) {
    const begin = now();
    let next = first;
    const lane = async () => {
      while (next < first + count) {
        const from = next;
        next = Math.min(from + batch, first + count);
        await door.put(Array.from({ length: next - from }, (_, i) => make(from + i, now())));
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return { begin, seconds: (now() - begin) / 1000 };
  },

  // So many per second, evenly, whether they are answered or not; what is due at one time goes in one call.
  async pace({ first, count, rate }) {
    const begin = now();
    const calls = [];
    const due = (n) => begin + ((n - first) * 1000) / rate;
    for (let next = first; next < first + count; ) {
      const jobs = [];
      for (const at = now(); next < first + count && due(next) <= at; next++) jobs.push(make(next, due(next)));
      if (jobs.length) calls.push(door.put(jobs));
      await new Promise((settle) => setTimeout(settle, 1));
    }
    await Promise.all(calls);
  },

  consume({ where, batch, lanes }) {
    door = consumer(where, { batch, lanes, picked, acked, failed });
  },

  // Resolves when so many jobs are done since the last time: each of those numbers once.
  async expect({ first, count }) {
    if (done < count && !trouble) await new Promise((settle) => (want = { count, settle }));
    const end = now();
    want = { count: Infinity, settle: () => {} };
    if (trouble) throw trouble;
    for (let n = first; n < first + count; n++) if (seen.get(n) !== 1) throw new Error(`job ${n} was done ${seen.get(n) ?? 0} times`);
    if (seen.size !== count || done !== count) throw new Error(`${seen.size} jobs were picked up, ${done} done, of ${count}`);
    const sorted = Float64Array.from(latencies).sort();
    [seen, latencies, done] = [new Map(), [], 0];
    return { end, p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
  },

  async close() {
    await door.close();
    door = null;
  },

  cpu,
};

process.on('message', async ([order, argument]) => {
  try {
    process.send({ result: await orders[order](argument) });
  } catch (error) {
    process.send({ error: error.message });
  }
});
process.on('disconnect', () => process.exit());
process.send({ result: 'ready' });
