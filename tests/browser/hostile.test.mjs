// SPDX-License-Identifier: MIT
//
// Names, rooms and messages come from anybody. Whatever they hold is shown as the text that it is; what
// would run shows up as a complaint of the browser (a dialog, an error, a violated policy).

import assert from 'node:assert/strict'

import { scene } from './stage.mjs'

const attacks = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  "'-alert(1)-'",
  '<a href="javascript:alert(1)">here</a>',
  '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
  '<style>*{display:none}</style>',
  '{{constructor.constructor("alert(1)")()}}',
  '&lt;b&gt; &amp; &#60;i&#62;',
  '</textarea></title><h1>big</h1>',
]

const notLinks = [
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)',
  'java\tscript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'vbscript:msgbox(1)',
  'blob:null/0a0b',
  'https://somebody@evil.example/',
  '//evil.example/',
]

// The elements that the page's own code makes inside a message's text: links and nothing else.
const elementsIn = (person) =>
  person.page.locator('[data-testid=message-text] *').evaluateAll((all) => all.map((one) => one.tagName))

scene('whatever a message holds is shown as text', async (stage) => {
  const ann = await stage.person('Ann')
  const raw = await stage.chatter('Raw')
  for (const text of attacks) await raw.publish('general', { text })
  await ann.seesExactly(attacks)
  assert.deepEqual(await elementsIn(ann), [])
  await ann.page.reload() // the same from history
  await ann.seesExactly(attacks)
  await ann.sayAll(attacks) // and my own
  await ann.seesExactly([...attacks, ...attacks])
  assert.deepEqual(await elementsIn(ann), [])
})

scene('only addresses of the web become links, and they lead where they say', async (stage) => {
  const ann = await stage.person('Ann')
  const all = [...notLinks, 'see https://good.example/"onmouseover="alert(1) or (http://good.example/a_(b)).']
  await ann.sayAll(all.map((one) => one.replace(/^\//, '//'))) // one slash would begin a command
  await ann.seesExactly(all)
  const links = await ann.page.locator('[data-testid=message-text] a').evaluateAll((found) =>
    found.map((one) => ({ text: one.textContent, href: one.href, names: one.getAttributeNames().sort(), rel: one.rel })))
  assert.deepEqual(links.map(({ text, href }) => [text, href]), [
    ['https://good.example/', 'https://good.example/'],
    ['http://good.example/a_(b)', 'http://good.example/a_(b)'],
  ])
  for (const { names, rel } of links) {
    assert.deepEqual(names, ['href', 'rel', 'target'])
    assert.match(rel, /noopener/)
  }
})

scene('a person and a room may be called like an attack', async (stage) => {
  const name = attacks[1]
  const ann = await stage.person(name)
  await ann.join(attacks[2])
  const title = attacks[2].replaceAll(' ', '-')
  await ann.isIn(title)
  assert.equal(await ann.get('room-title').locator('bdi').textContent(), title)
  assert.equal(await ann.get('composer').getAttribute('placeholder'), `Message #${title}`)
  const ben = await stage.window({ room: title })
  assert.equal(await ben.get('join-button').textContent(), `Join #${title}`)
  await ben.enter('Ben')
  await ben.seesPeople([name, 'Ben'])
  await ann.say('hello')
  await ben.seesExactly(['hello'])
  assert.equal(await ben.page.locator('[data-testid=message] .nick').textContent(), name)
  await ann.type('and then')
  await ben.seesTyping(`${name} is typing…`)
  await ann.open('general')
  await ben.say('still here')
  await ann.seesUnread(title, 1)
  for (const { page } of [ann, ben]) {
    assert.equal(await page.locator('img, svg[onload], script:not([src])').count(), 0)
  }
})

scene('nobody can look like somebody else by invisible characters in a name', async (stage) => {
  const ann = await stage.person('Ann')
  const raw = await stage.chatter('A\u202enn\u200f\u2066', 'general')
  await raw.publish('general', { text: 'it is me' })
  await ann.sees('it is me')
  await ann.seesPeople(['Ann', 'Ann'])
  const users = await ann.get('member').evaluateAll((all) => all.map((one) => one.dataset.user))
  assert.equal(new Set(users).size, 2, 'they are told apart by who they are')
})

scene('publications of any shape leave the page whole', async (stage) => {
  const ann = await stage.person('Ann')
  const raw = await stage.chatter('Raw', 'general')
  const shapes = [
    null, true, 17, 'plain text', [], ['a', 1], {}, { text: null }, { text: { deep: [1] } }, { type: 'message' },
    { type: 'message', text: 'typed' }, { type: 'unknown', text: 'not for people' }, { type: 'typing' },
    { text: 'bad cid', cid: 5 }, { text: '', cid: '' }, { __proto__: null, constructor: 'x', text: 'odd' },
    { text: 'x'.repeat(20_000) }, { text: '\u0000\u0007\ud800 half' },
  ]
  for (const data of shapes) await raw.publish('general', data)
  await raw.publish('general', { text: 'the end' })
  await ann.sees('the end')
  const texts = await ann.texts()
  for (const text of ['plain text', 'typed', 'bad cid', 'odd', '["a",1]', '17']) {
    assert.ok(texts.includes(text), `${text} is missing in ${JSON.stringify(texts)}`)
  }
  assert.ok(!texts.includes('not for people'))
  assert.equal(await ann.get('gap').count(), 0, 'what is not shown leaves no gap')
  await ann.page.reload()
  await ann.sees('the end')
  assert.deepEqual(await ann.texts(), texts)
})

scene('the policy forbids what is not the page itself, and these tests notice', async (stage) => {
  const ann = await stage.person('Ann')
  const response = await ann.page.request.get(`http://127.0.0.1:${stage.gateway.port}/`)
  const policy = response.headers()['content-security-policy']
  assert.match(policy, /^default-src 'none';.*require-trusted-types-for 'script'/)
  const attempt = async (complaint, what) => {
    await ann.page.evaluate(what)
    await ann.complains(complaint)
  }
  await attempt(/policy violated: require-trusted-types-for/, () => {
    const script = document.createElement('script')
    script.append('window.hacked = 1')
    document.body.append(script)
  })
  await attempt(/policy violated: require-trusted-types-for/, () => {
    try {
      document.createElement('div').innerHTML = '<b>x</b>'
    } catch {} // that is what should happen
  })
  await attempt(/policy violated: img-src/, () => {
    new Image().src = 'http://127.0.0.1:9/x.png'
  })
  await attempt(/policy violated: connect-src/, () => {
    try {
      new WebSocket('ws://127.0.0.1:9/')
    } catch {} // likewise
  })
  await attempt(/policy violated: style-src/, () => {
    const style = document.createElement('style')
    style.append('body { color: red }')
    document.head.append(style)
  })
  await attempt(/^dialog: hello/, () => alert('hello'))
  await attempt(/^uncaught: .*oops/, () => {
    setTimeout(() => {
      throw new Error('oops')
    })
  })
  await attempt(/^response: .* 404/, () => fetch('/nothing-here'))
  assert.equal(await ann.page.evaluate(() => window.hacked), undefined)
})
