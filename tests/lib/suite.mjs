// SPDX-License-Identifier: MIT
//
// Tests that share one gateway: it is started before the first and must end well after the last.

import { after, before, describe, it as plainIt } from 'node:test'

import { Chatter } from './chatter.mjs'
import { startGateway } from './gateway.mjs'
import { complaints, dismisser, running, stillHere } from './running.mjs'

export { returns } from './running.mjs'

// A bound against hanging, far above what any test needs on a slow machine with sanitizers, while
// others use it too.
const limit = { timeout: process.env.MADANG_TORTURE === '1' ? 1_200_000 : 300_000 }

export const it = (name, body) =>
  plainIt(name, limit, (t) =>
    running(async () => {
      const dismiss = dismisser()
      t.signal.addEventListener('abort', dismiss) // a test that takes too long is left where it is
      try {
        await body(t)
      } catch (error) {
        error.message = [error.message, ...complaints()].join('\n')
        throw error
      } finally {
        dismiss()
      }
    }),
  )

// Whatever is open still when all tests are over was forgotten by one of them.
after(() => {
  setTimeout(() => {
    console.error(`left open by a test: ${stillHere().join('; ') || 'a socket or timer'}`)
    process.exit(1)
  }, 30_000).unref()
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
