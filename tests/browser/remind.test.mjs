// SPDX-License-Identifier: MIT
//
// /remind: the time it stands for is shown, it can be taken back, it survives the gateway, and it is said once.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Api, KEY } from '../lib/api.mjs'
import { scene } from './stage.mjs'

const folder = mkdtempSync(join(tmpdir(), 'madang-remind-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
let files = 0
const kept = (...args) => ({ args: ['--store', join(folder, `${++files}.db`), ...args] })

// The rows above the composer: [{ text, state, at }].
const reminders = (person) =>
  person.page.locator('[data-testid=reminder]').evaluateAll((rows) =>
    rows.map((row) => ({ text: row.querySelector('.what').textContent, state: row.dataset.state, at: Number(row.dataset.at) })))

const areSet = (person, count) => {
  const look = (given) => {
    const rows = [...document.querySelectorAll('[data-testid=reminder]')]
    return rows.length === given && rows.every((row) => row.dataset.state === 'set')
  }
  return person.until(`${count} reminders are set`, look, count)
}

const arePresent = (person, count) => {
  const look = (given) => document.querySelectorAll('[data-testid=reminder]').length === given
  return person.until(`there are ${count} reminders`, look, count)
}

scene('a reminder is set, shown, survives a restart of the gateway and is said once', async (stage) => {
  const ann = await stage.person('Ann')
  const ben = await stage.person('Ben')
  const before = Date.now()
  await ann.say('/remind in 1d water the plants')
  await ann.say('/remind in 4s tea')
  await areSet(ann, 2)
  const [tea, plants] = await reminders(ann)
  assert.deepEqual([tea.text, plants.text], ['tea', 'water the plants'])
  assert.ok(tea.at >= before + 4000 && plants.at >= before + 86_400_000)
  const clock = await ann.page.evaluate((at) => new Date(at).toTimeString().slice(0, 5), tea.at)
  assert.match(await ann.screen(), new RegExp(`Today ${clock}`))
  if (process.env.MADANG_SHOTS) await ann.page.screenshot({ path: join(process.env.MADANG_SHOTS, 'remind.png') })
  assert.deepEqual(await ben.texts(), [])

  await stage.killGateway()
  for (const one of [ann, ben]) await one.seesBanner('lost')
  await stage.restart()
  for (const one of [ann, ben]) await one.isConnected()
  for (const one of [ann, ben]) await one.sees('⏰ tea')
  await arePresent(ann, 1) // the row goes when it was said
  await ann.say('thanks')
  for (const one of [ann, ben]) await one.seesExactly(['⏰ tea', 'thanks'])
  await ann.page.reload()
  await ann.isConnected()
  await areSet(ann, 1)
  await ann.seesExactly(['⏰ tea', 'thanks'])
}, kept())

scene('a reminder whose answer is lost is asked for again and said once', async (stage) => {
  const cable = await stage.cable()
  const ann = await stage.person('Ann', { cable })
  const clients = () => new Api(stage.gateway).ok('queue_stats', { queue: '_clients' })
  cable.hold('down')
  await ann.say('/remind in 6s tea')
  while ((await clients()).put === 0) await ann.page.waitForTimeout(20)
  ann.expectOutage()
  cable.cut()
  cable.release()
  await areSet(ann, 1)
  const { put, repeated } = await clients()
  assert.deepEqual([put, repeated > 0], [1, true])
  await ann.sees('⏰ tea')
  await arePresent(ann, 0)
  await ann.say('thanks')
  await ann.seesExactly(['⏰ tea', 'thanks'])
}, kept('--api-key', KEY))

scene('another tab shows what is set, and can undo it', async (stage) => {
  const ann = await stage.person('Ann')
  await ann.say('/remind in 1h tea')
  await areSet(ann, 1)
  const twin = await stage.secondTab(ann)
  await twin.isConnected()
  await areSet(twin, 1)
  await twin.say('/remind in 2h cake')
  await areSet(ann, 2)
  await twin.get('reminder-undo').first().click()
  await arePresent(ann, 1)
  assert.deepEqual((await reminders(ann)).map(({ text }) => text), ['cake'])
  await ann.get('reminder-undo').click()
  await arePresent(twin, 0)
}, kept())

scene('a reminder that is undone is not said; what is no time is told', async (stage) => {
  const ann = await stage.person('Ann')
  await ann.say('/remind 24:00 nothing')
  await ann.get('command-problem').waitFor()
  assert.equal(await ann.get('composer').inputValue(), '/remind 24:00 nothing', 'the text stays')
  await ann.say('/remind in 3s never')
  await areSet(ann, 1)
  assert.equal(await ann.get('command-problem').count(), 0)
  await ann.get('reminder-undo').click()
  await arePresent(ann, 0)
  await ann.say('/remind in 4s after it')
  await ann.sees('⏰ after it')
  await ann.seesExactly(['⏰ after it'])
}, kept())

scene('what is no command is told and not said, and two slashes say one', async (stage) => {
  const ann = await stage.person('Ann')
  await ann.get('composer').fill('/')
  await ann.get('command-hint').waitFor()
  await ann.say('/nick Annie')
  assert.match(await ann.get('command-problem').innerText(), /There is no \/nick/)
  assert.equal(await ann.get('composer').inputValue(), '/nick Annie', 'the text stays')
  await ann.say('//nick is what others have')
  await ann.seesExactly(['/nick is what others have'])
  assert.equal(await ann.get('command-hint').count() + (await ann.get('command-problem').count()), 0)
})

scene('where nothing can be kept, that is said', async (stage) => {
  const ann = await stage.person('Ann')
  await ann.say('/remind in 1h tea')
  const look = () => document.querySelector('[data-testid=reminder]')?.dataset.state === 'failed'
  await ann.until('it has failed', look)
  assert.match(await ann.screen(), /Not set: this is not available/)
  await ann.page.setViewportSize({ width: 320, height: 640 })
  const { width } = await ann.page.locator('[data-testid=reminder] .what').boundingBox()
  assert.ok(width > 200, `what it was about has ${width} px`)
  await ann.get('reminder-undo').click()
  await arePresent(ann, 0)
})
