// SPDX-License-Identifier: MIT
// The judge of the queues' tests is judged itself: each invariant has logs that break it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { checkJobs, invariants } from '../lib/jobs_checker.mjs'

const put = (id, t, more) => ({ op: 'put', t0: t, t1: t + 2, id, result: 'ok', ...more })
const take = (id, n, t, more) => ({ op: 'take', t0: t, t1: t + 2, id, token: `${n}.aa`, deliveries: 1, failures: 0, until: t + 101, lease_ms: 100, ...more })
const said = (op, id, n, t, more) => ({ op, t0: t, t1: t + 2, id, token: `${n}.aa`, result: 'ok', ...more })
const stats = { ready: 0, leased: 0, delayed: 0, blocked: 0, dead: 0, acked: 2 }

// One job fails and is tried again, one loses its lease, both are done; one take got lost.
const good = () => [
  put('q:1', 0, { key: 'a', window: true }), put('q:2', 3, { group: 'g', delay_ms: 5 }), put('q:3', 6, { group: 'g' }),
  take('q:1', 1, 20), said('nack', 'q:1', 1, 30, { ms: 10 }),
  take('q:2', 2, 25), said('extend', 'q:2', 2, 30, { ms: 100, until: 131 }),
  { op: 'take', t0: 140, t1: null, max: 1 },
  take('q:1', 3, 50, { deliveries: 2, failures: 1 }), said('ack', 'q:1', 3, 60),
  take('q:2', 5, 300, { deliveries: 3, failures: 2 }), said('ack', 'q:2', 2, 310, { result: 'lease_lost' }), said('ack', 'q:2', 5, 320),
  take('q:3', 6, 330), said('ack', 'q:3', 6, 340, { t1: null, result: undefined }),
]

const broken = {
  I1: [
    [...good(), put('q:4', 9)],
    [...good(), put('q:5', 9, { key: 'a', window: true }), take('q:5', 9, 500), said('ack', 'q:5', 9, 510)],
    [...good(), take('q:9', 9, 500)],
  ],
  I2: [[...good(), said('ack', 'q:1', 3, 62)]],
  I3: [[...good(), said('ack', 'q:1', 1, 45, { t1: null }), said('extend', 'q:1', 1, 57, { until: 200 })]],
  I4: [good().map((entry) => (entry.op === 'nack' ? { ...entry, result: 'lease_lost' } : entry)), good().map((entry) => (entry.token === '5.aa' && entry.op === 'take' ? { ...entry, until: 230 } : entry))],
  I5: [good().map((entry) => (entry.token === '2.aa' ? { ...entry, token: '5.bb' } : entry))],
  I6: [good().filter(({ op, t1 }) => op !== 'take' || t1), good().map((entry) => (entry.token === '3.aa' && entry.op === 'take' ? { ...entry, failures: 0 } : entry))],
  I7: [good().map((entry) => (entry.op === 'nack' ? { ...entry, ms: 30 } : entry)), good().map((entry) => (entry.delay_ms ? { ...entry, delay_ms: 30 } : entry))],
  I8: [good().map((entry) => (entry.token === '6.aa' ? { ...entry, token: '4.aa' } : entry)), good().map((entry) => (entry.op === 'put' && entry.id === 'q:1' ? { ...entry, t0: 7, t1: 8 } : entry))],
  I9: [good().map((entry) => (entry.op === 'put' && entry.id === 'q:2' ? { ...entry, max_failures: 2 } : entry))],
}

test('a log of what is as promised passes, and its numbers are told', () => {
  assert.deepEqual(checkJobs(good(), { stats }), { jobs: 3, leases: 5, again: 2, late: 16 })
})

test('what is given back too late, and nobody knows of it, is over all the same', () => {
  checkJobs([...good(), said('nack', 'q:2', 2, 310, { t1: null, result: undefined })], { stats })
})

for (const which of invariants.slice(0, 9))
  test(`${which} is found to be broken`, () => {
    for (const log of broken[which]) assert.throws(() => checkJobs(log, {}, [which]), new RegExp(`${which}: `))
  })

test('I9 looks at why the dead are dead', () => {
  const log = [put('q:1', 0), take('q:1', 1, 10), said('nack', 'q:1', 1, 20)]
  const dead = (reason, failures) => ({ dead: [{ id: 'q:1', reason, failures, deliveries: 1 }], max_failures: 1 })
  checkJobs(log, dead('max_failures', 1))
  for (const wrong of [dead('max_failures', 0), dead('rejected', 1), dead('expired', 0), dead('max_deliveries', 1), dead('', 1)])
    assert.throws(() => checkJobs(log, wrong), /I9: q:1 is dead of/)
})

test('I10 compares what the queue counts', () => {
  for (const wrong of [{ ready: 1 }, { dead: 1 }, { acked: 1 }, { acked: 4 }])
    assert.throws(() => checkJobs(good(), { stats: { ...stats, ...wrong } }), /I10: /)
  checkJobs([...good(), put('q:8', 9)], { stats: { ...stats, ready: 1 }, left: { 'q:8': 'ready' } })
})
