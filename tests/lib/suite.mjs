// SPDX-License-Identifier: MIT
//
// Tests that share one gateway: it is started before the first and must end well after the last.

import { after, before, describe, it as plainIt } from 'node:test'

import { Chatter } from './chatter.mjs'
import { startGateway } from './gateway.mjs'

// A bound against hanging, far above what any test needs on a slow machine with sanitizers, while
// others use it too.
const limit = { timeout: process.env.MADANG_TORTURE === '1' ? 1_200_000 : 120_000 }

// Clients that come back by themselves: those that a failed test leaves would keep its process alive
// for ever, so they are told to go when the test is over.
const returning = new Set()

export function returns(client) {
  returning.add(client)
  return client
}

function dismiss() {
  for (const client of returning) client.disconnect()
  returning.clear()
}

export const it = (name, body) =>
  plainIt(name, limit, async (t) => {
    t.signal.addEventListener('abort', dismiss) // a test that takes too long is left where it is
    try {
      await body(t)
    } finally {
      dismiss()
    }
  })

// `body` gets { gateway } (there when tests run) and `join`, which makes connected sessions.
export function suite(name, { args = [], ...options }, body) {
  describe(name, () => {
    const at = {}
    before(async () => (at.gateway = await startGateway(args, options)))
    after(() => at.gateway?.stop())
    body(at, (how) => Chatter.join(at.gateway, how))
  })
}

// The same tests with one hub, which shares its thread with the sequencer, and with several.
export function suites(name, options, body) {
  for (const hubs of [1, 3]) suite(`${name}, ${hubs} hub${hubs > 1 ? 's' : ''}`, { ...options, hubs }, body)
}
