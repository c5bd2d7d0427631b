// SPDX-License-Identifier: MIT
//
// What moderators do, as people at browsers see it.

import assert from 'node:assert/strict'

import { Api, KEY } from '../lib/api.mjs'
import { scene } from './stage.mjs'

const config = { args: ['--api-key', KEY] }
const removed = 'This message was removed.'

// Until the texts of the messages are these.
async function shows(person, texts) {
  await person.page.waitForFunction((wanted) => {
    const found = [...document.querySelectorAll('[data-testid=message-text]')].map((one) => one.textContent.trim())
    return JSON.stringify(found) === wanted
  }, JSON.stringify(texts))
}

const userOf = (person, text) => person.page.locator('[data-testid=message]', { hasText: text }).getAttribute('data-user')

async function pair(stage) {
  const [kim, lee] = [await stage.window({ room: 'yard' }), await stage.window({ room: 'yard' })]
  await kim.enter('Kim')
  await lee.enter('Lee')
  await kim.say('the secret')
  await lee.say('what was that?')
  for (const one of [kim, lee]) await shows(one, ['the secret', 'what was that?'])
  return [kim, lee]
}

async function channelOf(api) {
  const { channels } = await api.ok('channels')
  return Object.keys(channels).find((name) => name.includes('yard'))
}

scene('what is redacted is gone at once, and for who comes later', async (stage) => {
  const api = new Api(stage.gateway)
  const [kim, lee] = await pair(stage)
  const channel = await channelOf(api)
  await api.ok('redact', { channel, offset: 1, reason: 'private' })
  for (const one of [kim, lee]) await shows(one, [removed, 'what was that?'])
  const park = await stage.window({ room: 'yard' })
  await park.enter('Park')
  await shows(park, [removed, 'what was that?'])
  assert.ok(!(await park.page.content()).includes('secret'))
  await lee.page.reload()
  await shows(lee, [removed, 'what was that?'])
  await kim.say('sorry')
  for (const one of [kim, lee, park]) await shows(one, [removed, 'what was that?', 'sorry'])
}, config)

scene('one that is muted is told why, and one that is banned, too', async (stage) => {
  const api = new Api(stage.gateway)
  const [kim, lee] = await pair(stage)
  const user = await userOf(lee, 'the secret')
  const channel = await channelOf(api)
  await api.ok('mute', { user, channel, reason: 'shouting' })
  await kim.say('hello?')
  await kim.page.getByText('Not sent: muted: shouting (103).').waitFor()
  await api.ok('unmute', { user, channel })
  await kim.get('retry-button').click()
  await shows(lee, ['the secret', 'what was that?', 'hello?'])
  await api.ok('ban', { user, reason: 'spam' })
  await kim.get('banner').getByText('banned: spam (3507)').waitFor()
  await lee.say('gone')
  await shows(lee, ['the secret', 'what was that?', 'hello?', 'gone'])
}, config)
