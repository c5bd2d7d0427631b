// SPDX-License-Identifier: MIT
//
// The load generator catches a gateway that lies, and believes one that does not.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Liar } from './liar.mjs';
import { load, requireBinaries, toolBinary } from './tool.mjs';

requireBinaries(toolBinary('madang-load'));

// The number of messages is what ends a run; a busy machine may take its time for them.
const usual = { sessions: 8, rooms: 2, in_flight: 4, messages: 200, duration: 600, patience: 60, settle: 0 };

async function against(liarOptions, loadOptions = {}) {
  const liar = new Liar(liarOptions);
  const port = await liar.listen();
  try {
    return await load({ ...usual, port, ...loadOptions });
  } finally {
    await liar.close();
  }
}

for (const [name, liar, options] of [
  ['one frame per publication', {}, {}],
  ['publications joined in one frame', { batch: true }, { in_flight: 32 }],
  ['several rooms per session', { batch: true }, { rooms: 5, rooms_per_session: 3 }],
  ['separate publishers', {}, { publishers: 3 }],
  ['every second session only publishes', {}, { split: 2 }],
  ['an open loop', {}, { rate: 500 }],
  ['pings', { ping: true }, {}],
  ['large publications', {}, { size: 60000, messages: 20 }],
]) {
  test(`an honest gateway passes: ${name}`, async () => {
    const { code, report, err } = await against(liar, options);
    assert.equal(code, 0, err);
    assert.equal(report.all_publications, options.messages ?? usual.messages);
    assert.equal(report.replies, report.all_publications);
    assert.equal(report.failures, 0);
    if (liar.ping) assert.ok(report.pings > 0);
  });
}

for (const [lie, sentence, options] of [
  ['drop', /missed 1 publication|never got the last/, {}],
  ['drop', /missed 1 publication|never got the last/, { rooms_per_session: 2 }],
  ['duplicate', /again, after number/, {}],
  // What the first session of a room sees is the order; swapped there, it fits nothing that was sent.
  ['swap', /missed 1 publication[^]*late, after number|what nobody sent/, {}],
  ['corrupt', /what nobody sent/, { sessions: 2, rooms: 1 }],
  ['corrupt', /what nobody sent/, { sessions: 8, rooms: 1 }],
  ['foreign', /a room it is not in/, {}],
  ['offset', /offset|missed/, {}],
  ['epoch', /had epoch once, session \d+ was told other/, {}],
  ['silence', /reached nobody|nothing moved/, { patience: 2 }],
  ['refuse', /was refused: 103 permission denied/, {}],
  ['slow', /closed by the gateway: code 3008/, {}],
  ['cut', /closed by the gateway: code 0/, {}],
  ['terminal', /closed by the gateway: code 3503/, { recover: true }],
  ['empty', /no reply, push or ping|empty frame/, {}],
]) {
  test(`a gateway is caught: ${lie} ${JSON.stringify(options)}`, async () => {
    const { code, err } = await against({ lie }, options);
    assert.equal(code, 1, `exit ${code}: ${err}`);
    assert.match(err, sentence);
  });
}

test('a session that was cut off recovers, and nothing is lost or seen twice', async () => {
  const { code, report, err } = await against({ lie: 'cut' }, { recover: true });
  assert.equal(code, 0, err);
  assert.equal(report.reconnects, 1);
  assert.equal(report.recovered, 1);
});

test('the generator cuts connections itself, and nothing is lost or seen twice', async () => {
  const options = { recover: true, cut: 50, rate: 400, messages: 600, sessions: 16 };
  const { code, report, err } = await against({ batch: true }, options);
  assert.equal(code, 0, err);
  assert.ok(report.cuts > 10);
  assert.ok(report.recovered > 10);
});

test('what fails for now is sent again', async () => {
  const options = { publishers: 3, recover: true, cid: true, size: 160, insist: true };
  const { code, report, err } = await against({ lie: 'later' }, options);
  assert.equal(code, 0, err);
  assert.equal(report.all_publications, usual.messages);
  assert.equal(report.failed_for_now, report.sent_again);
  assert.ok(report.sent_again >= usual.messages / 10);
});

test('a gateway that publishes a repeated key again is caught', async () => {
  const options = { publishers: 3, recover: true, cid: true, size: 160, insist: true };
  const { code, err } = await against({ lie: 'unheard' }, options);
  assert.equal(code, 1, err);
  assert.match(err, /again, after number|second reply|what nobody sent/);
});

test('sessions are spread over several ports, publishers over others, and come back to the next', async () => {
  const house = { rooms: new Map(), sockets: new Set() };
  const ways = [new Liar(), new Liar(), new Liar()];
  try {
    for (const way of ways) Object.assign(way, house); // several doors of one house
    const [a, b, c] = await Promise.all(ways.map((way) => way.listen()));
    const options = { ...usual, port: `${a},${b}`, publish_port: c, publishers: 2, recover: true, cut: 20, rate: 200, messages: 400 };
    const { code, report, err } = await load({ ...options, roam: true });
    assert.equal(code, 0, err);
    assert.ok(report.recovered > 0);
    assert.deepEqual(ways.map((way) => way.accepted > 1), [true, true, true]);
  } finally {
    for (const way of ways) await way.close();
  }
});

test('a slow reader still gets everything when the gateway keeps it', async () => {
  const { code, err } = await against({}, { slow: 2, messages: 2000 });
  assert.equal(code, 0, err);
});

test('a wrong command line is refused by name', async () => {
  for (const [options, sentence] of [
    [{ sesions: 3 }, /there is no option '--sesions'/],
    [{ sessions: 'many' }, /--sessions wants a number/],
    [{ cut: 1 }, /--cut wants --recover/],
    [{ slow: 8 }, /--slow must be less/],
    [{ roam: true }, /--roam wants --recover/],
    [{ insist: true }, /--insist wants --cid/],
    [{ port: '80,x' }, /'80,x' is not a list/],
  ]) {
    const { code, err } = await against({}, options);
    assert.equal(code, 2);
    assert.match(err, sentence);
  }
});
