// SPDX-License-Identifier: MIT
//
// What becomes of a message between typing and arriving, and what the page says about the connection.

import assert from 'node:assert/strict'

import { scene } from './stage.mjs'

const row = (person, text) => person.page.locator('[data-testid=message]', { hasText: text })

// Seconds that the banner counts down from; 0 while it names none.
const seconds = () => Number(/in (\d+) s/.exec(document.querySelector('[data-testid=banner]')?.textContent)?.[1] ?? 0)

scene('messages wait while the line is cut, and go out in order when it is back', async (stage) => {
  const cable = await stage.cable()
  const ann = await stage.person('Ann', { cable })
  const ben = await stage.person('Ben')
  await ann.seesPeople(['Ann', 'Ben'])
  ann.expectOutage()
  cable.sever()
  await ann.seesBanner('lost')
  for (const text of ['one', 'two', 'three']) {
    await ann.say(text)
    await ann.sees(text, 'queued')
    assert.match(await row(ann, text).textContent(), /Waiting for connection…/)
  }
  assert.deepEqual(await ben.rows(), [])
  await ben.say('from here')
  cable.repair()
  await ann.seesBanner('back')
  for (const one of [ann, ben]) await one.seesExactly(['from here', 'one', 'two', 'three'])
  assert.equal(await ann.get('gap').count(), 0)
  await ann.seesBanner(null)
})

scene('a message is being sent until the gateway has answered', async (stage) => {
  const cable = await stage.cable()
  const ann = await stage.person('Ann', { cable })
  cable.hold('up')
  await ann.say('one')
  await ann.say('two')
  await ann.sees('one', 'sending')
  await ann.sees('two', 'queued')
  await row(ann, 'one').getByText('Sending…').waitFor() // it appears only when it takes a while
  cable.release()
  await ann.seesExactly(['one', 'two'])
  await row(ann, 'one').getByText('Sending…').waitFor({ state: 'detached' })
})

const READ_ONLY = ['--rooms-allow-publish-for-subscriber', 'off', '--rooms-allow-publish-for-client', 'off']

scene('a refused message says why, and can be sent again, edited or deleted', async (stage) => {
  const ann = await stage.person('Ann')
  for (const text of ['one', 'two', 'three']) {
    await ann.say(text)
    await ann.sees(text, 'failed')
    assert.match(await row(ann, text).textContent(), /Not sent: you may not write here\./)
  }
  await row(ann, 'one').getByTestId('retry-button').click()
  await ann.sees('one', 'failed')
  await row(ann, 'two').getByTestId('delete-button').click()
  await row(ann, 'two').waitFor({ state: 'detached' })
  await row(ann, 'three').getByTestId('edit-button').click()
  await row(ann, 'three').waitFor({ state: 'detached' })
  assert.equal(await ann.get('composer').inputValue(), 'three')
  await ann.get('composer').fill('three and a half')

  // Now the room may be written to.
  await stage.killGateway()
  await ann.seesBanner('lost')
  await stage.restart([])
  await ann.seesBanner('back')
  await ann.sees('one', 'failed') // it is not sent again unasked
  await ann.get('send-button').click()
  await ann.sees('three and a half')
  await row(ann, 'one').getByTestId('retry-button').click()
  await ann.seesExactly(['three and a half', 'one'])
  const ben = await stage.person('Ben')
  await ben.seesExactly(['three and a half', 'one'])
}, { args: READ_ONLY })

scene('the banner counts down to the next attempt, and Try now does not wait for it', async (stage) => {
  const cable = await stage.cable()
  const ann = await stage.person('Ann', { cable })
  ann.expectOutage()
  cable.sever()
  await ann.seesBanner('lost')
  assert.match(await ann.get('banner').textContent(), /^Connection lost\. .*messages you send will wait/)
  // After some failures it names the host, and waits longer.
  const from = await ann.until('it names the host and counts from some seconds', `(host) => {
    const text = document.querySelector('[data-testid=banner]').textContent
    return text.startsWith(host) && (${seconds})() >= 3 && (${seconds})()
  }`, `127.0.0.1:${cable.port} does not answer.`)
  const to = await ann.until('it counts down', `(from) => {
    const left = (${seconds})()
    return left > 0 && left < from && left
  }`, from)
  assert.equal(to, from - 1)
  cable.repair()
  const before = cable.attempts
  await ann.get('try-now').click()
  await ann.isConnected()
  assert.equal(cable.attempts, before + 1)
  await ann.seesBanner('back')
  await ann.seesBanner(null)
  await ann.say('here again')
  await ann.sees('here again')
})

scene('a browser that is offline says so, and is back as soon as it is online', async (stage) => {
  const ann = await stage.person('Ann')
  const ben = await stage.person('Ben')
  ann.expectOutage()
  await ann.context.setOffline(true)
  await ann.seesBanner('lost')
  await ann.say('from the tunnel')
  await ann.sees('from the tunnel', 'queued')
  await ann.context.setOffline(false)
  await ann.isConnected()
  for (const one of [ann, ben]) await one.seesExactly(['from the tunnel'])
})

scene('a gateway that is stopped properly lets everybody come back by themselves', async (stage) => {
  const people = [await stage.person('Ann'), await stage.person('Ben')]
  for (const one of people) one.expectOutage()
  await stage.gateway.stop()
  for (const one of people) await one.seesBanner('lost')
  await stage.restart()
  for (const one of people) await one.isConnected()
  await people[0].say('we are back')
  await people[1].sees('we are back')
  for (const one of people) await one.seesPeople(['Ann', 'Ben'])
})

scene('a room that cannot be opened says why, and can be tried again', async (stage) => {
  const ann = await stage.person('Ann')
  await ann.join('design')
  await ann.get('room-problem').waitFor()
  assert.match(await ann.get('room-problem').textContent(), /#design could not be opened: ?a limit is reached/)
  assert.equal(await ann.get('composer').count(), 0)
  await ann.roomLink('general').click()
  await ann.isIn('general')
  await ann.get('leave-button').click()
  await ann.get('room-problem').getByRole('button').click()
  await ann.isIn('design')
  await ann.say('now it works')
  await ann.sees('now it works')
}, { args: ['--channel-limit', '1'] })
