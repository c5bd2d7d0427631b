// SPDX-License-Identifier: MIT
//
// Korean and Japanese are typed through an input method: keys compose a word, and an Enter confirms it. That
// Enter must never send. Browsers tell it in two ways, and each scene asserts that its keys looked like that.

import assert from 'node:assert/strict'

import { scene } from './stage.mjs'

const ENTER = { key: 'Enter', code: 'Enter' }

// The keys that the page gets, as it gets them.
async function recordKeys(person) {
  await person.page.evaluate(() => {
    window.keys = []
    for (const type of ['keydown', 'keyup']) {
      const note = ({ key, keyCode, isComposing }) => window.keys.push(`${type} ${key} ${keyCode} ${isComposing}`)
      addEventListener(type, note, { capture: true })
    }
  })
}

const recordedKeys = (person) => person.page.evaluate(() => window.keys.splice(0))

class InputMethod {
  static async on(person) {
    await recordKeys(person)
    return new InputMethod(await person.context.newCDPSession(person.page))
  }

  constructor(session) {
    this.session = session
  }

  compose(text) {
    return this.session.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length })
  }

  // The word is finished: it is text like any other from here on.
  confirm(text) {
    return this.session.send('Input.insertText', { text })
  }

  key(type, keyCode, key = ENTER) {
    return this.session.send('Input.dispatchKeyEvent', { type, windowsVirtualKeyCode: keyCode, ...key })
  }
}

// One word is composed and confirmed in the focused field; what the keys look like is asserted.
const ways = {
  'an Enter inside the composition': async (method, person, word) => {
    await method.compose(word)
    await method.key('rawKeyDown', 13)
    await method.confirm(word)
    await method.key('keyUp', 13)
    assert.deepEqual(await recordedKeys(person), ['keydown Enter 13 true', 'keyup Enter 13 false'])
  },
  'a processed key inside the composition': async (method, person, word) => {
    await method.compose(word)
    await method.key('rawKeyDown', 229, { key: 'Process', code: 'Enter' })
    await method.confirm(word)
    await method.key('keyUp', 13)
    assert.deepEqual(await recordedKeys(person), ['keydown Process 229 true', 'keyup Enter 13 false'])
  },
  'a key 229 after the composition': async (method, person, word) => {
    await method.compose(word)
    await method.confirm(word)
    await method.key('rawKeyDown', 229)
    await method.key('keyUp', 13)
    assert.deepEqual(await recordedKeys(person), ['keydown Enter 229 false', 'keyup Enter 13 false'])
  },
}

for (const [way, confirm] of Object.entries(ways)) {
  scene(`an Enter that confirms a word does nothing else: ${way}`, async (stage) => {
    const ben = await stage.person('Ben', { room: '会議室' })
    const ann = await stage.window()
    const method = await InputMethod.on(ann)

    await ann.get('name-input').focus()
    await confirm(method, ann, '김')
    await confirm(method, ann, '미나')
    assert.equal(await ann.get('room-list').count(), 0)
    await ann.page.keyboard.press('Enter')
    await ann.isConnected()
    await ann.seesPeople(['김미나'])
    await recordedKeys(ann)

    await ann.get('new-room-input').focus()
    await confirm(method, ann, '会議')
    await confirm(method, ann, '室')
    assert.equal(await ann.get('new-room-input').inputValue(), '会議室')
    assert.equal(await ann.get('room-link').count(), 1)
    await ann.page.keyboard.press('Enter')
    await ann.isIn('会議室')
    await recordedKeys(ann)

    await ann.canPressEnter()
    await ann.get('composer').focus()
    for (const part of ['ㅇ', '아', '안', '안녀', '안녕']) await method.compose(part)
    assert.equal(await ann.get('composer').inputValue(), '안녕')
    await confirm(method, ann, '안녕')
    assert.equal(await ann.get('composer').inputValue(), '안녕')
    await confirm(method, ann, '하세요')
    assert.equal(await ann.get('composer').inputValue(), '안녕하세요')
    assert.deepEqual(await ann.rows(), [])
    await ann.page.keyboard.press('Enter')
    await ben.sees('안녕하세요')
    assert.equal(await ann.get('composer').inputValue(), '')
    // A message behind it proves that nothing else was on its way.
    await ann.say('끝')
    for (const one of [ann, ben]) await one.seesExactly(['안녕하세요', '끝'])
  })
}
