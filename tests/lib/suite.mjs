// SPDX-License-Identifier: MIT
//
// Tests that share one gateway: it is started before the first and must end well after the last.

import { AsyncLocalStorage } from 'node:async_hooks'
import { after, before, describe, it as plainIt } from 'node:test'

import { Chatter } from './chatter.mjs'
import { startGateway } from './gateway.mjs'

// A bound against hanging, far above what any test needs on a slow machine with sanitizers, while
// others use it too.
const limit = { timeout: process.env.MADANG_TORTURE === '1' ? 1_200_000 : 300_000 }

// Clients that come back by themselves: those that a failed test leaves would keep its process alive
// for ever, so they are told to go when the test is over. Each test has its own: others may run beside it.
const returning = new AsyncLocalStorage()

export function returns(client) {
  returning.getStore().add(client)
  return client
}

export const it = (name, body) =>
  plainIt(name, limit, async (t) => {
    const mine = new Set()
    const dismiss = () => {
      for (const client of mine) client.disconnect()
      mine.clear()
    }
    t.signal.addEventListener('abort', dismiss) // a test that takes too long is left where it is
    try {
      await returning.run(mine, () => body(t))
    } finally {
      dismiss()
    }
  })

// `body` gets { gateway } (there when tests run) and `join`, which makes connected sessions. `together`:
// its tests run side by side, since most of what they do is to wait.
export function suite(name, { args = [], together = false, ...options }, body) {
  describe(name, { concurrency: together }, () => {
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
