// SPDX-License-Identifier: MIT
//
// Two people and a room: who is here, who types, what is unread, and what an address leads to.

import assert from 'node:assert/strict'

import { scene } from './stage.mjs'

scene('two people chat, and each sees the other come, speak and go', async (stage) => {
  const ann = await stage.person('Ann')
  await ann.isIn('general')
  await ann.seesPeople(['Ann'])
  const ben = await stage.person('Ben')
  await ann.seesPeople(['Ann', 'Ben'])
  await ben.seesPeople(['Ann', 'Ben'])

  await ann.say('hello Ben')
  await ben.sees('hello Ben')
  await ben.say('hello Ann,\nhow are you?')
  for (const one of [ann, ben]) await one.seesExactly(['hello Ben', 'hello Ann,\nhow are you?'])
  const names = ben.page.locator('[data-testid=message] .nick')
  assert.deepEqual(await names.allTextContents(), ['Ann', 'Ben'])

  await ben.get('leave-button').click()
  await ann.seesPeople(['Ann'])
  await ben.join('general')
  await ann.seesPeople(['Ann', 'Ben'])
  await ben.seesExactly(['hello Ben', 'hello Ann,\nhow are you?'])
  await ben.page.close()
  await ann.seesPeople(['Ann'])
})

scene('Enter sends, Shift+Enter breaks the line, and the composer is empty afterwards', async (stage) => {
  const ann = await stage.person('Ann')
  const ben = await stage.person('Ben')
  await ann.canPressEnter()
  await ann.get('composer').pressSequentially('one')
  await ann.page.keyboard.press('Shift+Enter')
  await ann.page.keyboard.type('two')
  await ann.page.keyboard.press('Enter')
  await ben.sees('one\ntwo')
  assert.equal(await ann.get('composer').inputValue(), '')
  await ann.page.keyboard.press('Enter') // nothing to send
  await ann.say('three')
  await ben.seesExactly(['one\ntwo', 'three'])
})

scene('a typing line appears, goes with the message, and goes by itself', async (stage) => {
  const ann = await stage.person('Ann')
  const ben = await stage.person('Ben')
  await ben.get('composer').pressSequentially('hm')
  await ann.seesTyping('Ben is typing…')
  await ben.seesTyping('')
  await ben.get('send-button').click()
  await ann.sees('hm')
  await ann.seesTyping('')
  await ben.get('composer').pressSequentially('never sent', { delay: 200 }) // as people type
  await ann.seesTyping('Ben is typing…')
  await ann.seesTyping('')
  await ann.seesExactly(['hm'])
})

scene('what is said in another joined room counts as unread, until it is looked at', async (stage) => {
  const ann = await stage.person('Ann')
  const ben = await stage.person('Ben')
  await ann.join('design')
  await ann.isIn('design')
  for (const text of ['one', 'two', 'three']) await ben.say(text)
  await ann.seesUnread('general', 3)
  await ann.seesUnread('design', 0)
  assert.match(await ann.page.title(), /^\(3\) #design/)
  await ann.open('general')
  await ann.seesUnread('general', 0)
  await ann.seesExactly(['one', 'two', 'three'])
  await ann.until('the title counts no more', () => /^#general/.test(document.title))
})

scene('the room is in the address, and a reload keeps it, the name and the messages', async (stage) => {
  const ann = await stage.person('Ann')
  await ann.join('  Design   Review ')
  await ann.isIn('design-review')
  assert.ok(ann.page.url().endsWith('/#/r/design-review'), ann.page.url())
  await ann.say('still here?')
  await ann.sees('still here?')
  await ann.get('composer').fill('a draft')
  const [{ user }] = await ann.rows()
  await ann.page.reload()
  await ann.isIn('design-review')
  await ann.seesPeople(['Ann'])
  await ann.seesExactly(['still here?'])
  assert.equal((await ann.rows())[0].user, user)
  assert.equal(await ann.get('composer').inputValue(), 'a draft')
  await ann.say('yes')
  await ann.seesExactly(['still here?', 'yes'])
  assert.equal((await ann.rows())[1].user, user, 'a reload makes nobody another user')

  const ben = await stage.person('Ben', { room: 'design-review' })
  await ben.isIn('design-review')
  await ben.seesExactly(['still here?', 'yes'])
  await ann.seesPeople(['Ann', 'Ben'])
  await ann.open('general')
  await ann.page.goBack()
  await ann.isIn('design-review')
})

for (const title of ['회의실', 'ops: #1 at $5 & 100%*/2', '日本語の部屋', '🙂', '%3a', 'a'.repeat(64)]) {
  scene(`a room may be called '${title.slice(0, 24)}'`, async (stage) => {
    const ann = await stage.person('Ann')
    await ann.join(title)
    const canonical = title.replaceAll(' ', '-')
    await ann.isIn(canonical)
    assert.equal(await ann.get('room-title').locator('bdi').textContent(), canonical)
    const ben = await stage.person('Ben', { room: canonical })
    await ben.isIn(canonical)
    await ann.seesPeople(['Ann', 'Ben'])
    await ann.say('안녕하세요')
    await ben.seesExactly(['안녕하세요'])
    await ben.get('composer').pressSequentially('네')
    await ann.seesTyping('Ben is typing…')
    await ben.page.reload()
    await ben.isIn(canonical)
    await ben.seesExactly(['안녕하세요'])
  })
}

scene('two tabs of one guest are one person, who sees in both what is said in one', async (stage) => {
  const ann = await stage.person('Ann')
  const ben = await stage.person('Ben')
  const twin = await stage.secondTab(ann)
  await twin.isIn('general')
  await ben.seesPeople(['Ann', 'Ben'])
  await twin.seesPeople(['Ann', 'Ben'])
  await ann.join('design')
  await ann.isIn('design')
  await twin.say('from the second tab')
  await ben.seesExactly(['from the second tab'])
  await ann.seesUnread('general', 0) // nobody has to read what they said themselves
  await ann.open('general')
  await ann.seesExactly(['from the second tab'])
  await ann.get('composer').pressSequentially('x')
  await ben.seesTyping('Ann is typing…')
  await twin.seesTyping('')
  await twin.page.close()
  await ann.say('only one left')
  await ben.seesExactly(['from the second tab', 'only one left'])
  await ben.seesPeople(['Ann', 'Ben'])
  await ann.page.close()
  await ben.seesPeople(['Ben'])
})
