// SPDX-License-Identifier: MIT
//
// Plain http at an address that is not loopback: browsers keep a good part of their interfaces from such a
// page, and it must work without them.

import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'

import { scene } from './stage.mjs'

const addresses = Object.values(networkInterfaces()).flat()
const own = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address

if (own) {
  scene('the page works on plain http at an address of this machine', async (stage) => {
    const ann = await stage.person('Ann', { host: own })
    const ben = await stage.person('Ben', { host: own })
    for (const one of [ann, ben]) await one.complains(/Cross-Origin-Opener-Policy header has been ignored/)
    const given = await ann.page.evaluate(() => [isSecureContext, typeof crypto.randomUUID, typeof crypto.subtle])
    assert.deepEqual(given, [false, 'undefined', 'undefined'])
    await ann.say('hello')
    await ben.seesExactly(['hello'])
    await ann.seesPeople(['Ann', 'Ben'])
  }, { host: own })
} else {
  test('the page works on plain http at an address of this machine', { skip: 'it has none but loopback' })
}
