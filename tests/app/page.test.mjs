// SPDX-License-Identifier: MIT
//
// The same application in a browser: the official client's bundle, the back end's page, a gateway of
// another origin.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { theBrowser } from '../browser/browser.mjs'
import { Person } from '../browser/person.mjs'
import { openHouse } from './house.mjs'

async function comesIn(house, name) {
  const person = await Person.sit(await theBrowser(), house.backend.url)
  await send(person, 'Your name', name)
  await person.page.getByText(`You are ${name}`).waitFor()
  await sees(person, '#room', 'open:hall')
  return person
}

async function send(person, label, text) {
  const field = person.page.getByLabel(label)
  await field.fill(text)
  await field.press('Enter')
}

// The element has this text, now or soon.
const sees = ({ page }, selector, text) =>
  page.waitForFunction(([at, wanted]) => document.querySelector(at).textContent === wanted, [selector, text])

test('two people talk in a private room, with tokens that are renewed meanwhile', { timeout: 120_000 }, async () => {
  const house = await openHouse({ connectionLife: 2, subscriptionLife: 2, args: ['--expired-close-delay', '10s', '--expired-sub-close-delay', '10s'] })
  const people = []
  try {
    for (const name of ['ann', 'ben']) people.push(await comesIn(house, name))
    const [ann, ben] = people
    await sees(ben, '#people', 'ann, ben')
    await send(ann, 'Open a private room', 'two')
    await sees(ann, '#room', '$team:two')
    await send(ann, 'Invite, by id', 'u2')
    for (const one of people) await sees(one, '#people', 'ann, ben')
    assert.equal(await ben.page.locator('#room').textContent(), '$team:two')
    await send(ann, 'Say', 'hello <b>ben</b>')
    await send(ben, 'Say', '안녕')
    for (const one of people) await sees(one, '#messages', 'ann: hello <b>ben</b>ben: 안녕')
    const { issued } = house.backend
    const { connection, subscription } = issued
    while (issued.connection < connection + 4 || issued.subscription < subscription + 4) {
      await ann.page.waitForResponse(/-token$/)
    }
    await send(ben, 'Say', 'still here')
    await sees(ann, '#messages', 'ann: hello <b>ben</b>ben: 안녕ben: still here')
    assert.equal(await ann.page.locator('#state').textContent(), 'connected')
    for (const one of people) one.assertContent()
  } finally {
    for (const one of people) await one.context.close()
    await house.close()
  }
})
