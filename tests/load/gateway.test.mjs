// SPDX-License-Identifier: MIT
//
// Short versions of the load scenarios against the real gateway: what must hold on any machine,
// however slow. Numbers are `make bench`'s business. MADANG_TORTURE=1 runs them at full size.

import assert from 'node:assert/strict';
import test from 'node:test';

import { gatewayBinary, load, requireBinaries, startGateway, toolBinary } from './tool.mjs';
import { troubles } from './trouble.mjs';

requireBinaries(gatewayBinary, toolBinary('madang-load'));

const scale = process.env.MADANG_TORTURE === '1' ? 1 : 0.1;

const shapes = {
  'one room, one message at a time': { sessions: 200, rooms: 1, in_flight: 1, messages: 200 },
  'one room, many in flight': { sessions: 200, rooms: 1, in_flight: 64, messages: 2000 },
  'many rooms': { sessions: 300, rooms: 30, in_flight: 100, messages: 5000 },
  'several rooms per session': { sessions: 200, rooms: 40, rooms_per_session: 8, in_flight: 40, messages: 2000 },
  'large publications': { sessions: 20, rooms: 2, in_flight: 8, size: 40000, messages: 200 },
  'publishers that do not listen': { sessions: 100, rooms: 10, publishers: 25, in_flight: 25, messages: 2000 },
  'an open loop with idempotency keys': { sessions: 200, rooms: 20, rate: 1000, size: 160, cid: true, messages: 1500 },
  'join pushes': { sessions: 100, rooms: 5, join_leave: true, messages: 50 },
};

for (const hubs of [1, 2]) {
  test(`every delivery is right with ${hubs} hub(s)`, { timeout: 600000 }, async (t) => {
    const gateway = await startGateway({ hubs });
    try {
      let nth = 0;
      for (const [name, options] of Object.entries(shapes)) {
        await t.test(name, async () => {
          const prefix = `shape-${nth++}-`;
          const { code, err, report } = await load({ ...options, prefix, duration: 600, settle: 0.1 }, { gateway });
          assert.equal(code, 0, err);
          assert.equal(report.all_publications, options.messages);
          assert.equal(report.replies, options.messages);
        });
      }
    } finally {
      const exit = await gateway.stop();
      assert.equal(exit.code, 0, exit.err);
    }
  });
}

const quiet = () => {};

for (const [name, { title, run }] of Object.entries(troubles)) {
  test(title, { timeout: 600000 }, async () => {
    for (const row of await run({ scale, turns: 1, seconds: 1, timed: false, say: quiet })) {
      const { what, value, limit = Infinity, least = -Infinity } = row;
      assert.ok(value <= limit && value >= least, `${name}: ${what} is ${value}, not ${least}…${limit}`);
    }
  });
}
