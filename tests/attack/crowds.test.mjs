// SPDX-License-Identifier: MIT
// Attacks by number: what a client can hold has a bound, and those who are in do not notice.
import assert from 'node:assert/strict'

import { attack, attacks, torture } from './siege.mjs'

const many = torture ? 10_000 : 2000

attacks(() => {
  attack(`${many} connections that never say connect: 3502`, {
    attack: 'neverConnect',
    rounds: torture ? 3 : 1,
    visit: true,
    how: { connections: many },
    args: ['--max-connections', '15000', '--stale-close-delay', torture ? '10s' : '2s'],
    answers: { 3502: many },
  })
  attack('3000 connections that say nothing at all: the oldest are cut, and newcomers get in', {
    attack: 'silence',
    visit: true,
    how: { connections: 3000, addresses: 100 },
    args: ['--max-connections', '5000'],
    answers: { cut: 2000 },
    allowed: ['ended by us'],
  })
  attack('sockets that nobody reads: 3008', {
    attack: 'unread',
    outlasts: true,
    how: { connections: 20 },
    args: ['--queue-bytes', '256KiB', '--queue-time', '2s'],
    answers: { 3008: 60 },
  })
  attack('more connections than descriptors: refused, and nobody inside suffers', {
    attack: 'descriptors',
    how: { connections: 400 },
    descriptors: 150,
    answers: { taken: 100, refused: 100 },
    async check(gateway) {
      let metrics // until the queue of the system is through, newcomers may still be refused
      while (!metrics) metrics = await gateway.metrics().catch(() => null)
      assert.ok(metrics.madang_connections_refused_total > 0)
      assert.ok(metrics.madang_accept_pauses_total < 1000, 'the listener must not spin')
    },
  })
})
