// SPDX-License-Identifier: MIT
//
// Reading back: older messages come in above while the row that is being read stays where it is, to the
// pixel and in every frame that is painted; and however much was read, the document stays small.

import assert from 'node:assert/strict'

import { scene } from './stage.mjs'

const MOST_ROWS = 400

// A writer may be faster than people are.
const UNLIMITED = ['session', 'user'].flatMap((who) => [`--limits-${who}-publishes`, '0', `--limits-${who}-commands`, '0'])

// Messages of very different heights.
const line = (i) => `message ${i}${' and more of it'.repeat((i * 7) % 40)}${i % 5 ? '' : '\nwith a second line'}`

// A writer who is not in the room, and what it wrote there, a hundred at a time.
async function fill(stage, channel, from, to) {
  const writer = await stage.chatter('Writer')
  for (let low = from; low < to; low += 100) {
    const numbers = Array.from({ length: Math.min(100, to - low) }, (_, i) => low + i)
    await Promise.all(numbers.map((i) => writer.publish(channel, { cid: `cid of ${i}`, text: line(i) })))
  }
  return writer
}

// Scrolls to `above` pixels below the top and follows the row in the middle of the view until an older one
// is the first, and for some frames more. Gives how far the row strayed in any of them.
function strayOf(person, above) {
  return person.page.evaluate(async (above) => {
    const log = document.querySelector('[data-testid=log]')
    const rows = () => [...document.querySelectorAll('[data-testid=message]')]
    const frame = () => new Promise((settle) => requestAnimationFrame(settle))
    const isScrolled = () => document.querySelector('[data-testid=jump-latest]') !== null
    const before = rows()[0].dataset.key
    const isOlder = () => rows()[0].dataset.key !== before
    const middle = log.getBoundingClientRect().top + log.clientHeight / 2
    let row, at
    do {
      // As people do: again, if the log went to a new message before it noticed.
      log.scrollTop = above
      row = rows().find((one) => one.getBoundingClientRect().bottom > middle)
      at = row.getBoundingClientRect().top
      await frame()
    } while (!isScrolled() && !isOlder())
    let stray = 0
    const look = () => {
      const now = row.isConnected ? row.getBoundingClientRect().top : Infinity
      stray = Math.max(stray, Math.abs(now - at))
    }
    for (const end = Date.now() + 20_000; !isOlder(); await frame()) {
      look()
      if (Date.now() > end) throw new Error('nothing older came')
    }
    for (let i = 0; i < 10; i++) {
      look()
      await frame()
    }
    return stray
  }, above)
}

const countRows = (person) => person.get('message').count()

async function seesStart(person) {
  await person.get('start').waitFor()
  assert.match(await person.get('start').textContent(), /beginning of #general/)
}

scene('older messages come in above without a jump', async (stage) => {
  await fill(stage, 'general', 1, 901)
  const ann = await stage.person('Ann')
  await ann.sees(line(900))
  // From somewhere below the top, from the pixel under it, and from the very top.
  for (const above of [250, 1, 0, 77, 0]) {
    const stray = await strayOf(ann, above)
    assert.ok(stray <= 1, `from ${above} px the row in the middle moved by ${stray} px`)
    assert.ok((await countRows(ann)) <= MOST_ROWS)
  }
  assert.equal(await ann.get('gap').count(), 0)
}, { args: UNLIMITED })

scene('a live message does not move the view of somebody who reads further up', async (stage) => {
  const writer = await fill(stage, 'general', 1, 121)
  const ann = await stage.person('Ann')
  await ann.sees(line(120))
  await strayOf(ann, 300)
  const look = () => {
    const log = document.querySelector('[data-testid=log]')
    const row = [...log.querySelectorAll('[data-testid=message]')].find(
      (one) => one.getBoundingClientRect().bottom > log.getBoundingClientRect().top)
    return { key: row.dataset.key, top: row.getBoundingClientRect().top }
  }
  const before = await ann.page.evaluate(look)
  for (let i = 121; i <= 125; i++) await writer.publish('general', { text: line(i) })
  await ann.until('the pill counts them', () => document.querySelector('[data-testid=jump-latest]')?.textContent.startsWith('5 new'))
  assert.deepEqual(await ann.page.evaluate(look), before)
  await ann.seesUnread('general', 5)
  await ann.get('jump-latest').click()
  await ann.sees(line(125))
  await ann.seesUnread('general', 0)
  await ann.get('jump-latest').waitFor({ state: 'detached' })
})

scene('a room in which much is said while it is opened shows every message once', async (stage) => {
  const writer = await stage.chatter('Writer')
  const ann = await stage.window()
  let count = 0
  const say = async () => {
    await writer.publish('general', { text: `${++count}` }) // nothing but its offset tells it apart
    await new Promise((settle) => setTimeout(settle, 4)) // a few hundred a second
  }
  for (let i = 0; i < 60; i++) await say()
  let isOpen = false
  const opening = ann.enter('Ann')
    .then(() => ann.get('message').first().waitFor())
    .finally(() => (isOpen = true))
  while (!isOpen) await say()
  await opening
  for (let i = 0; i < 60; i++) await say()
  await ann.sees(`${count}`)
  const texts = await ann.texts()
  const from = count - texts.length + 1
  assert.deepEqual(texts, texts.map((_, i) => `${from + i}`))
  assert.ok(texts.length > 100, 'from before it was opened until after')
  assert.equal(await ann.get('gap').count(), 0)
})

scene('1500 messages are read back to the first one, and the document stays small', async (stage) => {
  await fill(stage, 'general', 1, 1501)
  const ann = await stage.person('Ann')
  await ann.sees(line(1500))
  let most = 0
  const seen = new Set()
  const look = async () => {
    for (const text of await ann.texts()) seen.add(text)
  }
  for (let atStart = false; !atStart; ) {
    await look()
    most = Math.max(most, await countRows(ann))
    const first = await ann.get('message').first().getAttribute('data-key')
    atStart = (await ann.until('older ones come, or the start', (key) => {
      if (document.querySelector('[data-testid=message]').dataset.key !== key) return 'older'
      document.querySelector('[data-testid=log]').scrollTop = 0
      return document.querySelector('[data-testid=start]') ? 'start' : null
    }, first)) === 'start'
  }
  await seesStart(ann)
  await look() // the start may be there together with the last of them
  assert.deepEqual(seen, new Set(Array.from({ length: 1500 }, (_, i) => line(i + 1))))
  assert.ok(most <= MOST_ROWS, `${most} rows in the document`)
  assert.deepEqual((await ann.texts()).slice(0, 5), [1, 2, 3, 4, 5].map(line))

  // And down again, over the same rows, to the end.
  for (let atEnd = false; !atEnd; ) {
    assert.ok((await countRows(ann)) <= MOST_ROWS)
    const last = await ann.get('message').last().getAttribute('data-key')
    atEnd = (await ann.until('newer ones come, or the end', (key) => {
      const rows = document.querySelectorAll('[data-testid=message]')
      if (rows[rows.length - 1].dataset.key !== key) return 'newer'
      const log = document.querySelector('[data-testid=log]')
      log.scrollTop = log.scrollHeight
      return document.querySelector('[data-testid=jump-latest]') ? null : 'end'
    }, last)) === 'end'
  }
  assert.equal((await ann.texts()).at(-1), line(1500))
}, { args: [...UNLIMITED, '--rooms-history-size', '5000', '--rooms-history-bytes', '16MiB'] })

scene('the place in a room is found again after a look into another', async (stage) => {
  await fill(stage, 'general', 1, 201)
  const ann = await stage.person('Ann')
  await ann.sees(line(200))
  await strayOf(ann, 200)
  const look = () => {
    const log = document.querySelector('[data-testid=log]')
    const row = [...log.querySelectorAll('[data-testid=message]')].find(
      (one) => one.getBoundingClientRect().bottom > log.getBoundingClientRect().top)
    return { key: row.dataset.key, top: Math.round(row.getBoundingClientRect().top) }
  }
  const before = await ann.page.evaluate(look)
  await ann.join('design')
  await ann.isIn('design')
  await ann.open('general')
  await ann.until('the same row is at the same place', `(given) =>
    JSON.stringify((${look})()) === JSON.stringify(given)`, before)
})

scene('a room can be read back to its start with the keyboard alone', async (stage) => {
  await fill(stage, 'general', 1, 121)
  const ann = await stage.person('Ann')
  await ann.sees(line(120))
  await ann.get('log').focus()
  for (let atStart = false; !atStart; ) {
    const first = await ann.get('message').first().getAttribute('data-key')
    await ann.page.keyboard.press('Home')
    atStart = (await ann.until('older ones come, or the start', (key) => {
      const log = document.querySelector('[data-testid=log]')
      if (document.querySelector('[data-testid=start]') && log.scrollTop === 0) return 'start'
      return document.querySelector('[data-testid=message]').dataset.key === key ? null : 'older'
    }, first)) === 'start'
  }
  await seesStart(ann)
  assert.equal((await ann.texts())[0], line(1))
})

scene('a room whose oldest messages are gone says so', async (stage) => {
  await fill(stage, 'general', 1, 61)
  const ann = await stage.person('Ann')
  await ann.sees(line(60))
  await ann.get('log').evaluate((log) => (log.scrollTop = 0))
  await ann.get('start').waitFor()
  assert.match(await ann.get('start').textContent(), /no longer kept/)
  assert.deepEqual(await ann.texts(), Array.from({ length: 20 }, (_, i) => line(i + 41)))
}, { args: ['--rooms-history-size', '20'] })

// A message has moved the log, and before the browser tells of that, the composer takes more room: between
// two frames, as messages and keys come.
function scrollAndShrink(person) {
  return person.page.evaluate(async () => {
    const frame = () => new Promise((settle) => requestAnimationFrame(settle))
    const log = document.querySelector('[data-testid=log]')
    const composer = document.querySelector('[data-testid=composer]')
    await frame()
    await new Promise((settle) => setTimeout(settle))
    const height = log.clientHeight
    log.scrollTop -= 1
    composer.value = 'a\nb\nc\nd\ne'
    composer.dispatchEvent(new InputEvent('input', { bubbles: true }))
    const shrunk = height - log.clientHeight
    for (let i = 0; i < 3; i++) await frame()
    return { shrunk, left: log.scrollHeight - log.scrollTop - log.clientHeight }
  })
}

scene('the newest message stays in view when the log gets smaller while it moves', async (stage) => {
  const writer = await fill(stage, 'general', 1, 51)
  const ann = await stage.person('Ann')
  await ann.sees(line(50))
  const { shrunk, left } = await scrollAndShrink(ann)
  assert.ok(shrunk > 32, `the log lost ${shrunk} px only`)
  assert.ok(left <= 1, `${left} px are left below`)
  assert.equal(await ann.get('jump-latest').count(), 0)
  await writer.publish('general', { cid: 'the one after', text: 'still followed' })
  await ann.sees('still followed')
})
