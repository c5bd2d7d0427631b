// SPDX-License-Identifier: MIT
//
// A long conversation over bad lines: connections are reset, or lose what was on its way in one direction
// first, so that outcomes are unknown on either side. Everybody must see every message once, in one order.

import assert from 'node:assert/strict'

import { scene, torture } from './stage.mjs'

const EACH = torture ? 2500 : 500 // messages that each of the two sends
const CUTS = torture ? 50 : 10

const numbered = (name) => Array.from({ length: EACH }, (_, i) => `${name} ${i + 1}`)

// Where a person's window is scrolled to the end, and up to the start: all rows, oldest first.
async function readWholeLog(person) {
  const known = []
  for (;;) {
    const rows = (await person.rows()).map(({ text, offset, state }) => ({ text, offset, state }))
    const at = known.length ? rows.findIndex(({ offset }) => offset === known[0].offset) : rows.length
    assert.ok(at >= 0, 'two looks at the log do not overlap')
    assert.deepEqual(known.slice(0, rows.length - at), rows.slice(at), 'the log changed')
    known.unshift(...rows.slice(0, at))
    const first = await person.page.locator('[data-testid=message]').first().getAttribute('data-key')
    const step = await person.until('there is more above, or the start', (key) => {
      const row = document.querySelector('[data-testid=message]')
      if (row.dataset.key !== key) return 'more'
      document.querySelector('[data-testid=log]').scrollTop = 0
      return document.querySelector('[data-testid=start]') ? 'start' : null
    }, first)
    if (step === 'start') return known
  }
}

const PATIENCE = 60_000 // ms without a message that somebody waits for

// What a client at the gateway itself hears.
class Witness {
  static async at(stage, channel) {
    const witness = new Witness()
    witness.people = stage.people
    witness.#listen(await stage.chatter('Witness', channel), channel).catch((error) => (witness.error = error))
    return witness
  }

  heard = []
  #wake = () => {}

  async #listen(chatter, channel) {
    while (this.heard.length < 2 * EACH) {
      const { data, tags } = await chatter.pub(channel)
      if (tags?.typing) continue
      this.heard.push(data.text)
      this.#wake()
    }
  }

  // Resolves when it has heard so many.
  async reached(count) {
    while (this.heard.length < count) {
      const isNews = await new Promise((settle) => {
        const silence = setTimeout(settle, PATIENCE, false)
        this.#wake = () => {
          clearTimeout(silence)
          settle(true)
        }
      })
      if (!isNews) throw await this.#missed(count)
    }
  }

  // What is known when messages stay away: how far each has come, and what their windows read.
  async #missed(count) {
    const last = (name) => this.heard.findLast((text) => text.startsWith(name))
    const lines = [`${this.heard.length} messages were heard and no more, not ${count}`]
    for (const one of this.people) lines.push(`the last of ${one.name}: ${last(one.name)}; on the screen:`, await one.screen())
    return new Error(lines.join('\n'), { cause: this.error })
  }
}

// What is cut is lost in between: nothing more than that, or first one direction, then both.
const losses = [null, 'down', 'up']

// In every round both send their next portion, and the line of one of them is cut while it is on its way.
async function talkThroughCuts(witness, people, cables) {
  const portion = EACH / CUTS
  for (let i = 0; i < CUTS; i++) {
    await witness.reached((2 * i - 1) * portion) // something of the last round may still wait
    const which = i % 2
    await people[which].isConnected()
    const loss = losses[(i >> 1) % losses.length]
    const cutting = loss && cables[which].cutLosing(loss)
    await Promise.all(people.map((one) => one.sayAll(numbered(one.name).slice(i * portion, (i + 1) * portion))))
    if (loss) await cutting
    else cables[which].cut()
  }
}

scene(`${2 * EACH} messages through ${CUTS} cut connections, each once and in order for both`, async (stage) => {
  const cables = [await stage.cable(), await stage.cable()]
  const people = [await stage.person('Ann', { cable: cables[0] }), await stage.person('Ben', { cable: cables[1] })]
  await people[0].seesPeople(['Ann', 'Ben'])
  const witness = await Witness.at(stage, 'general')
  for (const one of people) {
    one.expectOutage()
    await one.watchRepeats()
  }

  await talkThroughCuts(witness, people, cables)
  await witness.reached(2 * EACH)

  for (const one of people) {
    assert.deepEqual(witness.heard.filter((text) => text.startsWith(one.name)), numbered(one.name))
    await one.sees(witness.heard.at(-1))
    const all = await readWholeLog(one)
    assert.deepEqual(all.map(({ text }) => text), witness.heard, `what ${one.name} saw`)
    assert.ok(all.every(({ state }, i) => state === 'sent' && all[i].offset === String(i + 1)))
    assert.equal(await one.get('gap').count(), 0)
    await one.assertNoRepeats()
  }
  await people[0].seesPeople(['Ann', 'Ben', 'Witness'])
}, { args: ['--rooms-history-size', '10000', '--rooms-history-bytes', '16MiB'] })
