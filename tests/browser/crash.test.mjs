// SPDX-License-Identifier: MIT
//
// The gateway dies in the middle of a conversation and comes back without a memory: a new epoch. Whatever
// was not sent must be sent, once; nothing may be shown twice; and what may be missing must be said.

import assert from 'node:assert/strict'

import { scene, torture } from './stage.mjs'

const gapKinds = (person) =>
  person.page.locator('[data-testid=gap]').evaluateAll((gaps) => gaps.map((gap) => gap.dataset.kind))

// Every publication that the gateway has in the room: [{ text, name }].
async function historyOf(stage, channel) {
  const reader = await stage.chatter('Reader', channel)
  const { publications } = await reader.ok({ history: { channel, limit: 300 } })
  return publications.map(({ data, info }) => ({ text: data.text, name: info.conn_info.name }))
}

async function seesBannerComeAndGo(person) {
  await person.seesBanner('back')
  await person.seesBanner(null)
}

scene('the gateway is killed and started again while two people talk', async (stage) => {
  const ann = await stage.person('Ann')
  const ben = await stage.person('Ben')
  const people = [ann, ben]
  await ann.say('before 1')
  await ben.sees('before 1')
  await ben.say('before 2')
  for (const one of people) await one.seesExactly(['before 1', 'before 2'])
  for (const one of people) await one.watchRepeats()

  await stage.killGateway()
  for (const one of people) await one.seesBanner('lost')
  const waiting = { Ann: ['meanwhile a', 'meanwhile b', 'meanwhile c'], Ben: ['meanwhile d', 'meanwhile e'] }
  for (const one of people) {
    for (const text of waiting[one.name]) await one.say(text)
    for (const text of waiting[one.name]) await one.sees(text, 'queued')
    assert.match(await one.screen(), /Waiting for connection…/)
  }

  await stage.restart()
  await Promise.all(people.map(seesBannerComeAndGo))
  const all = [...waiting.Ann, ...waiting.Ben]
  for (const one of people) for (const text of all) await one.sees(text)
  const published = await historyOf(stage, 'general')
  assert.deepEqual(published.map(({ text }) => text).sort(), all, 'each once, and nothing else')
  for (const { name, text } of published) assert.ok(waiting[name].includes(text), `${text} by ${name}`)
  for (const one of people) {
    const mine = published.filter(({ name }) => name === one.name).map(({ text }) => text)
    assert.deepEqual(mine, waiting[one.name], 'in the order of typing')
    await one.seesExactly(['before 1', 'before 2', ...published.map(({ text }) => text)])
    assert.deepEqual(await gapKinds(one), ['break'])
    await one.assertNoRepeats()
    await one.seesPeople(['Ann', 'Ben', 'Reader'])
  }
  const order = await ann.page.locator('[data-testid=message], [data-testid=gap]').evaluateAll((rows) =>
    rows.map((row) => row.dataset.testid))
  assert.deepEqual(order, [...Array(2).fill('message'), 'gap', ...Array(5).fill('message')])

  await ann.say('after')
  await ben.sees('after')
})

async function killInABurst(stage) {
  const burst = Array.from({ length: 200 }, (_, i) => `burst ${i}`)
  const ann = await stage.person('Ann')
  const ben = await stage.person('Ben')
  const people = [ann, ben]
  for (const one of people) await one.watchRepeats()
  await ann.sayAll(burst.slice(0, 100))
  await ben.sees('burst 20')
  await ann.sayAll(burst.slice(100)) // so that some are left, however fast the others went
  await stage.killGateway()
  await ann.seesBanner('lost')
  const unsent = (await ann.rows()).filter(({ state }) => state !== 'sent').map(({ text }) => text)
  assert.ok(unsent.length > 0, 'the gateway was killed too late to prove anything')

  await stage.restart()
  await Promise.all(people.map(seesBannerComeAndGo))
  await ben.sees(burst.at(-1))
  await ann.seesExactly(burst)
  const published = (await historyOf(stage, 'general')).map(({ text }) => text)
  assert.deepEqual(published, burst.slice(-published.length), 'each once, in order, to the end')
  assert.ok(published.length >= unsent.length, 'all that was not sent')
  const seen = await ben.texts()
  assert.deepEqual(seen, burst.filter((text) => seen.includes(text)), 'in order')
  for (const text of unsent) assert.ok(seen.includes(text), `${text} did not arrive`)
  for (const one of people) {
    assert.deepEqual(await gapKinds(one), ['break'])
    await one.assertNoRepeats()
  }
}

for (let round = 0; round < (torture ? 30 : 1); round++) {
  scene('the gateway is killed while a burst of messages is being sent', killInABurst)
}

scene('what was seen before a crash is not shown again when its sender must repeat it', async (stage) => {
  const cable = await stage.cable()
  const ann = await stage.person('Ann', { cable })
  const ben = await stage.person('Ben')
  const people = [ann, ben]
  for (const one of people) await one.watchRepeats()
  cable.hold('down') // Ann does not get to know that it arrived
  await ann.say('did you get it?')
  await ben.sees('did you get it?')
  await ann.sees('did you get it?', 'sending')
  await stage.killGateway()
  cable.cut()
  cable.release()
  await stage.restart()
  for (const one of people) await one.isConnected()
  await ann.sees('did you get it?')
  await ann.say('hello?')
  for (const one of people) {
    await one.seesExactly(['did you get it?', 'hello?'])
    await one.assertNoRepeats()
  }
  const published = (await historyOf(stage, 'general')).map(({ text }) => text)
  assert.deepEqual(published, ['did you get it?', 'hello?'])
})

scene('a page that is reloaded while the gateway is away keeps what was not sent', async (stage) => {
  const cable = await stage.cable()
  const ann = await stage.person('Ann', { cable })
  const ben = await stage.person('Ben')
  await ann.say('one')
  await ben.sees('one')
  ann.expectOutage()
  cable.hold('up')
  await ann.say('two')
  await ann.sees('two', 'sending')
  await ann.say('three')
  await ann.sees('three', 'queued')
  cable.cut()
  cable.release()
  await ann.page.reload()
  for (const one of [ann, ben]) await one.seesExactly(['one', 'two', 'three'])
})
