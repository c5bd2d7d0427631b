// SPDX-License-Identifier: MIT
//
// The page on a phone and on a desk, dark and light, and for people who cannot see it: axe-core finds no
// serious fault, contrast included.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import { scene } from './stage.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

// Colours on their way from one theme to the other are nobody's colours.
const stillness = (person) =>
  person.page.evaluate(() =>
    Promise.allSettled(
      document
        .getAnimations()
        .filter((one) => one.effect.getComputedTiming().endTime !== Infinity)
        .map((one) => one.finished),
    ),
  )

// What is wrong with the page for people with disabilities, of the kinds that keep them out.
async function faultsOf(person) {
  await person.page.evaluate(axe)
  await stillness(person)
  const violations = await person.page.evaluate(async () => (await window.axe.run(document)).violations)
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`)
}

async function assertAccessible(person, where) {
  for (const shade of ['light', 'dark']) {
    await person.page.emulateMedia({ colorScheme: shade })
    await background(person, shade)
    assert.deepEqual(await faultsOf(person), [], `${where}, ${shade}`)
  }
}

// The colour behind everything, once it is light (or dark).
function background(person, shade) {
  return person.until(`the page is ${shade}`, (given) => {
    const colour = getComputedStyle(document.body).backgroundColor
    const [red, green, blue] = colour.match(/\d+/g).map(Number)
    return red + green + blue > 382 === (given === 'light') && colour
  }, shade)
}

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

const inView = (person, id) =>
  person.get(id).evaluate((one) => {
    const box = one.getBoundingClientRect()
    return box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight && box.width > 0
  })

const hasNoSideways = (person) =>
  person.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)

// Brings a sheet out, looks at it, and puts it away.
async function assertSheetAccessible(person, button, list) {
  await person.get(button).click()
  await person.until(`${list} is out`, (id) => {
    const { left, right } = document.querySelector(`[data-testid=${id}]`).getBoundingClientRect()
    return left >= 0 && right <= innerWidth && document.getAnimations().length === 0
  }, list)
  await assertAccessible(person, list)
  await person.page.keyboard.press('Escape')
}

for (const [device, options] of Object.entries({ desk: {}, phone: PHONE })) {
  scene(`the page is accessible, light and dark, on a ${device}`, async (stage) => {
    const ann = await stage.window({ room: 'design', ...options })
    await assertAccessible(ann, 'name screen')
    await ann.enter('Ann')
    await assertAccessible(ann, 'empty room')
    const ben = await stage.person('Ben', { room: 'design' })
    await ann.say('see https://example.org/ for more')
    await ben.say('안녕하세요')
    await ben.say('and a second line')
    await ann.sees('and a second line')
    await assertAccessible(ann, 'conversation')
    if (device === 'phone') {
      await assertSheetAccessible(ann, 'rooms-button', 'room-list')
      await assertSheetAccessible(ann, 'members-button', 'member-list')
    }
    await stage.killGateway()
    await ann.seesBanner('lost')
    await ann.say('unsent')
    await ann.sees('unsent', 'queued')
    await assertAccessible(ann, 'connection lost')
    await stage.restart(['--rooms-allow-publish-for-subscriber', 'off', '--rooms-allow-publish-for-client', 'off'])
    await ann.sees('unsent', 'failed')
    await ann.get('gap').waitFor()
    await assertAccessible(ann, 'refused message and gap')
  })
}

scene('the theme follows the system until somebody chooses, and the choice is kept', async (stage) => {
  const ann = await stage.person('Ann', { colorScheme: 'dark' })
  const choice = () => ann.get('theme-button').getAttribute('data-theme-choice')
  const press = () => ann.get('theme-button').getByRole('button').click()
  await background(ann, 'dark')
  await ann.page.emulateMedia({ colorScheme: 'light' })
  await background(ann, 'light')
  const choices = []
  for (const shade of ['light', 'light', 'dark', 'light']) {
    choices.push(await choice())
    await background(ann, shade)
    await press()
  }
  assert.deepEqual(choices, ['system', 'light', 'dark', 'system'])
  await press()
  await ann.page.reload()
  await ann.isConnected()
  assert.equal(await choice(), 'dark')
  await background(ann, 'dark')
})

scene('on a phone the rooms are a drawer and the composer is always in view', async (stage) => {
  const ann = await stage.person('Ann', PHONE)
  const ben = await stage.person('Ben')
  await ann.isIn('general')
  assert.ok(!(await inView(ann, 'room-list')))
  await ann.get('rooms-button').tap()
  await ann.until('the drawer is out', () => document.querySelector('[data-testid=room-list]').getBoundingClientRect().left >= 0)
  await ann.join('design')
  await ann.isIn('design')
  await ann.until('the drawer is in', () => document.querySelector('[data-testid=room-list]').getBoundingClientRect().right <= 0)
  await ben.say('are you there?')
  await ann.until('the menu button counts', () => /1 unread/.test(document.querySelector('[data-testid=rooms-button]').ariaLabel))
  await ann.get('rooms-button').tap()
  await ann.roomLink('general').tap()
  await ann.seesExactly(['are you there?'])

  await ann.get('members-button').tap()
  await ann.until('the members are out', () =>
    document.querySelector('[data-testid=member-list]').getBoundingClientRect().right <= innerWidth)
  await ann.seesPeople(['Ann', 'Ben'])
  await ann.page.keyboard.press('Escape')
  await ann.until('the members are in', () =>
    document.querySelector('[data-testid=member-list]').getBoundingClientRect().left >= innerWidth)

  // Enter on a touch keyboard breaks the line; the button sends.
  await ann.canPressEnter()
  await ann.get('composer').tap()
  await ann.page.keyboard.type('a')
  await ann.page.keyboard.press('Enter')
  await ann.page.keyboard.type('b')
  assert.equal(await ann.get('composer').inputValue(), 'a\nb')
  await ann.get('send-button').tap()
  await ben.seesExactly(['are you there?', 'a\nb'])

  // The keyboard of a phone takes half of the height.
  for (const height of [844, 500, 320]) {
    await ann.page.setViewportSize({ width: 390, height })
    for (const id of ['composer', 'send-button', 'room-title']) {
      assert.ok(await inView(ann, id), `${id} is out of view at a height of ${height}`)
    }
    const button = await ann.get('send-button').boundingBox()
    assert.ok(button.width >= 40 && button.height >= 40, 'large enough for a finger')
    assert.ok(await hasNoSideways(ann))
  }
  await ann.get('composer').fill('line\n'.repeat(30))
  assert.ok(await inView(ann, 'composer'), 'a long message does not push the composer out')
  assert.ok(await inView(ann, 'send-button'))
})

scene('nothing is wider than a narrow window, however long its words are', async (stage) => {
  const ann = await stage.person('n'.repeat(40), { viewport: { width: 320, height: 600 } })
  await ann.say('https://example.org/' + 'x'.repeat(900))
  await ann.say('마당'.repeat(200))
  await ann.say('y'.repeat(900))
  await ann.sees('y'.repeat(900))
  assert.ok(await hasNoSideways(ann))
  const log = await ann.get('log').evaluate((one) => one.scrollWidth <= one.clientWidth)
  assert.ok(log, 'the log does not scroll sideways')
})
