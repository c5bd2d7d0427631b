// SPDX-License-Identifier: MIT
//
// Somebody at a browser: one page, what can be done on it and what can be seen there. Whatever the browser
// complains about is noted, and fails the test in the end: errors and warnings on the console, uncaught
// errors, violations of the content security policy, dialogs, failed requests. A test that takes the
// gateway away says so first, with `expectOutage`: then broken WebSockets are no complaint.

import assert from 'node:assert/strict'

const PATIENCE = 60_000 // ms that anything on a page may take, on a machine that does other things too
const outage = /WebSocket connection to '[^']*' failed|^socket: (.*net::ERR_|Connection closed before receiving a handshake response)/

// Runs in the page before its own scripts: the console says which policy was violated by what.
function tellViolations() {
  addEventListener('securitypolicyviolation', (event) => {
    console.error(`policy violated: ${event.effectiveDirective} by ${event.blockedURI} ${event.sample}`)
  })
}

export class Person {
  // A browser window at `url`. Options are those of a browser context (viewport, colorScheme, …).
  static async sit(browser, url, options = {}) {
    const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 800 }, ...options })
    context.setDefaultTimeout(PATIENCE)
    await context.addInitScript(tellViolations)
    const person = new Person(context, url)
    await person.openTab()
    return person
  }

  constructor(context, url, complaints = []) {
    this.context = context
    this.url = url
    this.complaints = complaints
    this.expected = [] // patterns of what is no complaint
  }

  async openTab() {
    this.page = await this.context.newPage()
    this.#listen(this.page)
    await this.page.goto(this.url)
  }

  // The same person at another tab.
  async secondTab() {
    const twin = new Person(this.context, this.url, this.complaints)
    await twin.openTab()
    return twin
  }

  #listen(page) {
    const note = (kind, text) => {
      const complaint = `${kind}: ${text}`
      if (!this.expected.some((pattern) => pattern.test(complaint))) this.complaints.push(complaint)
    }
    page.on('console', (message) => {
      if (['error', 'warning', 'assert'].includes(message.type())) note(`console ${message.type()}`, message.text())
    })
    page.on('pageerror', (error) => note('uncaught', error.stack ?? error.message))
    page.on('crash', () => note('crash', 'the page is gone'))
    page.on('dialog', (dialog) => {
      note('dialog', dialog.message())
      dialog.dismiss().catch(() => {}) // the page may have gone away under it
    })
    page.on('requestfailed', (request) => note('request', `${request.url()} ${request.failure()?.errorText}`))
    page.on('response', (response) => {
      if (response.status() >= 400) note('response', `${response.url()} ${response.status()}`)
    })
    page.on('websocket', (socket) => socket.on('socketerror', (text) => note('socket', text)))
  }

  expect(pattern) {
    this.expected.push(pattern)
  }

  expectOutage() {
    this.expect(outage)
  }

  // Resolves when the browser has complained like that; all complaints so far are forgotten then.
  async complains(pattern) {
    for (const end = Date.now() + PATIENCE; !this.complaints.some((one) => pattern.test(one)); ) {
      assert.ok(Date.now() < end, `no complaint like ${pattern} among: ${this.complaints}`)
      await this.page.evaluate(() => new Promise(requestAnimationFrame))
    }
    this.complaints.splice(0)
  }

  get(id) {
    return this.page.getByTestId(id)
  }

  // ---- doing ----

  async enter(name) {
    this.name = name
    await this.get('name-input').fill(name)
    await this.get('join-button').click()
    await this.isConnected()
  }

  // Joins or creates the room, by the drawer where the list is one.
  async join(title) {
    if (!(await this.get('new-room-input').isVisible())) await this.get('rooms-button').click()
    await this.get('new-room-input').fill(title)
    await this.get('new-room-input').press('Enter')
  }

  // Opens a room that is joined already.
  async open(title) {
    await this.roomLink(title).click()
    await this.isIn(title)
  }

  async say(text) {
    await this.get('composer').fill(text)
    await this.get('send-button').click()
  }

  // Types as slowly as people do: the gateway passes on one typing notice a second.
  async type(text) {
    await this.get('composer').pressSequentially(text, { delay: Math.ceil(2000 / text.length) })
  }

  // Many messages at once, faster than anybody types; through the composer all the same.
  async sayAll(texts) {
    await this.page.evaluate((all) => {
      const composer = document.querySelector('[data-testid=composer]')
      for (const text of all) {
        composer.value = text
        composer.dispatchEvent(new InputEvent('input', { bubbles: true }))
        composer.form.requestSubmit()
      }
    }, texts)
  }

  // For half a second after a room was opened an Enter sends nothing, so that nobody posts into the wrong
  // room. Resolves when that is over.
  async canPressEnter() {
    await this.page.evaluate(() => new Promise((settle) => setTimeout(settle, 550)))
  }

  // ---- seeing ----

  // Resolves when `look`, which runs in the page with `given`, gives something true; gives that. The page's
  // policy forbids the usual way of Playwright, which compiles text inside the page again and again.
  async until(what, look, given) {
    const source = `(async () => {
      const look = ${look}
      const given = ${JSON.stringify(given) ?? 'undefined'}
      for (const end = Date.now() + ${PATIENCE}; Date.now() < end; ) {
        const seen = look(given)
        if (seen) return seen
        await new Promise((settle) => setTimeout(settle, 15))
      }
      return null
    })()`
    const seen = await this.page.evaluate(source)
    if (seen === null) assert.fail(`${this.name ?? 'somebody'} waited in vain until ${what}\n${await this.screen()}`)
    return seen
  }

  // What the window reads, for people who look into a failed test.
  screen() {
    return this.page.evaluate(() => document.body.innerText)
  }

  isConnected() {
    const look = () => document.querySelector('[data-testid=connection]')?.dataset.phase === 'connected'
    return this.until('the connection stands', look)
  }

  isIn(title) {
    const look = (given) => {
      const link = document.querySelector('[data-testid=room-link][aria-current=page]')
      return link?.dataset.room === given && document.querySelector('[data-testid=composer]') !== null
    }
    return this.until(`'${title}' is the open room`, look, title)
  }

  roomLink(title) {
    return this.page.locator(`[data-testid=room-link][data-room=${JSON.stringify(title)}]`)
  }

  // The rows of messages in the document: [{ text, state, offset, user, key }].
  rows() {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('[data-testid=message]')].map((row) => ({
        text: row.querySelector('[data-testid=message-text]').textContent,
        state: row.dataset.state,
        offset: row.dataset.offset,
        user: row.dataset.user,
        key: row.dataset.key,
      })),
    )
  }

  async texts() {
    return (await this.rows()).map((row) => row.text)
  }

  // Resolves when the message is in the document, in the state.
  sees(text, state = 'sent') {
    const look = (given) => {
      const rows = document.querySelectorAll(`[data-testid=message][data-state=${given.state}]`)
      return [...rows].some((row) => row.querySelector('[data-testid=message-text]').textContent === given.text)
    }
    return this.until(`'${text}' is shown as ${state}`, look, { text, state })
  }

  // Resolves when these are the messages, all of them sent.
  seesExactly(texts) {
    const look = (given) => {
      const rows = [...document.querySelectorAll('[data-testid=message]')]
      if (rows.some((row) => row.dataset.state !== 'sent')) return false
      const shown = rows.map((row) => row.querySelector('[data-testid=message-text]').textContent)
      return shown.length === given.length && shown.every((text, i) => text === given[i])
    }
    return this.until(`the messages are ${JSON.stringify(texts)}`, look, texts)
  }

  // Resolves when these are the people in the room, in any order.
  seesPeople(names) {
    const look = (given) => {
      const shown = [...document.querySelectorAll('[data-testid=member] .name')].map((name) => name.textContent)
      return JSON.stringify(shown.sort()) === JSON.stringify(given)
    }
    return this.until(`${names} are here`, look, [...names].sort())
  }

  seesTyping(line) {
    const look = (given) => document.querySelector('[data-testid=typing]').textContent === given
    return this.until(`the typing line reads '${line}'`, look, line)
  }

  seesUnread(title, count) {
    const look = (given) => {
      const links = [...document.querySelectorAll('[data-testid=room-link]')]
      const link = links.find((one) => one.dataset.room === given.title)
      return Number(link?.dataset.unread) === given.count
    }
    return this.until(`'${title}' has ${count} unread`, look, { title, count })
  }

  // Phase of the banner; null: it is gone.
  seesBanner(phase) {
    const look = (given) => (document.querySelector('[data-testid=banner]')?.dataset.phase ?? null) === given
    return this.until(`the banner is ${phase ?? 'gone'}`, look, phase)
  }

  // From here on the page itself watches that no text is in the document twice.
  async watchRepeats() {
    await this.page.evaluate(() => {
      const repeats = (window.repeats = [])
      const look = () => {
        const texts = [...document.querySelectorAll('[data-testid=message-text]')].map((one) => one.textContent)
        if (new Set(texts).size === texts.length) return
        repeats.push(texts.filter((text, i) => texts.indexOf(text) !== i).join(', '))
      }
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true })
    })
  }

  async assertNoRepeats() {
    assert.deepEqual(await this.page.evaluate(() => window.repeats), [], `${this.name} saw messages twice`)
  }

  assertContent() {
    assert.deepEqual(this.complaints, [], `what the browser of ${this.name ?? 'somebody'} complained about`)
  }
}
