// SPDX-License-Identifier: MIT
//
// Tests that share one gateway: it is started before the first and must end well after the last.

import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import { after, before, describe, it as plainIt } from 'node:test'

import { Chatter } from './chatter.mjs'
import { startGateway } from './gateway.mjs'

// A bound against hanging, far above what any test needs on a slow machine with sanitizers, while
// others use it too.
const limit = { timeout: process.env.MADANG_TORTURE === '1' ? 1_200_000 : 300_000 }

// Clients that come back by themselves, and programs: those that a failed test leaves would keep its process
// alive for ever. So clients are told to go when the test is over, and programs are killed when it has failed.
// Each test has its own: others may run beside it.
const own = new AsyncLocalStorage()

export function returns(client) {
  own.getStore().clients.add(client)
  return client
}

subscribe('child_process', ({ process: child }) => own.getStore()?.programs.add(child))

export const it = (name, body) =>
  plainIt(name, limit, async (t) => {
    const mine = { clients: new Set(), programs: new Set() }
    const dismiss = () => {
      for (const client of mine.clients) client.disconnect()
      mine.clients.clear()
    }
    const abandon = () => {
      dismiss()
      for (const program of mine.programs) program.kill('SIGKILL')
    }
    t.signal.addEventListener('abort', abandon) // a test that takes too long is left where it is
    try {
      await own.run(mine, () => body(t))
    } catch (error) {
      abandon()
      throw error
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
