// SPDX-License-Identifier: MIT
//
// Followed rooms: what is unread outlives the browser, and the gateway.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Api, KEY } from '../lib/api.mjs'
import { scene } from './stage.mjs'

const unread = (person, title, count) =>
  person.until(`${count} messages are unread in '${title}'`, (given) => {
    const link = document.querySelector(`[data-testid=room-link][data-room="${given.title}"]`)
    return link?.dataset.unread === String(given.count)
  }, { title, count })

const pressed = (person, on) =>
  person.until(`the room is ${on ? '' : 'not '}followed`, (given) =>
    document.querySelector('[data-testid=follow-button]')?.getAttribute('aria-pressed') === String(given), on)

// Until the gateway knows that the one follower has so much to read.
async function told(stage, count) {
  for (;;) {
    const { users } = await new Api(stage.gateway).ok('followers', { channel: 'yard' })
    if (users.length === 1 && users[0].unread === count) return
    await new Promise((settle) => setTimeout(settle, 50))
  }
}

// The browser is closed, and what it keeps is there for the next one.
async function goesAway(person) {
  const storageState = await person.context.storageState()
  await person.context.close()
  return storageState
}

const folder = mkdtempSync(join(tmpdir(), 'madang-followed-'))
process.on('exit', () => rmSync(folder, { recursive: true }))
const kept = { args: ['--store', join(folder, 'madang.db'), '--api-key', KEY] }

scene('unread counts survive closing the browser and the death of the gateway', async (stage) => {
  const lee = await stage.person('Lee', { room: 'yard' })
  await lee.say('before')
  let kim = await stage.person('Kim', { room: 'yard' })
  await kim.sees('before')
  await pressed(kim, false)
  await kim.get('follow-button').click()
  await pressed(kim, true)
  await kim.join('hall')
  await kim.isIn('hall')
  await lee.say('one')
  await unread(kim, 'yard', 1)
  let state = await goesAway(kim)
  await lee.say('two')
  await lee.say('three')
  await lee.sees('three')
  await stage.killGateway()
  await stage.restart()
  await lee.get('try-now').click().catch(() => {}) // it may have come back by itself
  await lee.isConnected()
  kim = await stage.window({ room: 'hall', storageState: state })
  await kim.isConnected()
  await unread(kim, 'yard', 3)
  await kim.open('yard')
  await kim.sees('three')
  await unread(kim, 'yard', 0)
  await pressed(kim, true)
  await lee.say('four')
  await kim.sees('four')
  await told(stage, 0)
  state = await goesAway(kim)
  await lee.say('five')
  await lee.sees('five')
  kim = await stage.window({ room: 'hall', storageState: state })
  await kim.isConnected()
  await unread(kim, 'yard', 1)
  await kim.open('yard')
  await kim.get('follow-button').click()
  await pressed(kim, false)
  assert.equal(await kim.get('follow-button').getAttribute('aria-label'), 'Follow #yard: keep what is unread while you are away')
}, kept)
