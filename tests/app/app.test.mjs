// SPDX-License-Identifier: MIT
//
// A small application, used by its people: everything goes through the official client, the back end's own
// HTTP interface and the gateway's server API.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe } from 'node:test'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { it, returns } from '../lib/suite.mjs'
import { token } from '../lib/token.mjs'
import { Actor } from './cast.mjs'
import { openHouse } from './house.mjs'

const next = (emitter, event) => new Promise((settle) => emitter.once(event, settle))

// Tests that share one house; `at.house` is there when they run.
function house(name, options, body) {
  describe(name, () => {
    const at = {}
    before(async () => (at.house = await openHouse(options)))
    after(() => at.house?.close())
    body(at, (who) => Actor.connected(at.house, who))
  })
}

let nth = 0
// A private room of `host`, with these guests; everybody is in it.
async function team(host, ...guests) {
  const { room } = await host.member.ask('open', { name: `team${++nth}` })
  for (const guest of guests) await host.member.ask('invite', { room, user: guest.me.id })
  for (const one of [host, ...guests]) await one.member.enter(room)
  return room
}

house('people of an application', { staff: ['sue'] }, (at, comes) => {
  it('talk in an open room, and see each other by name', async () => {
    const [ann, ben] = [await comes('ann'), await comes('ben')]
    for (const one of [ann, ben]) await one.member.enter('open:hall')
    for (const one of [ann, ben]) await one.sees(() => one.people('open:hall').join() === 'ann,ben')
    await ann.member.say('open:hall', 'hello')
    await ben.member.say('open:hall', '안녕')
    for (const one of [ann, ben]) await one.sees(() => one.texts('open:hall').length === 2)
    assert.deepEqual(ben.room('open:hall').messages.map(({ from, text }) => [from, text]), [['ann', 'hello'], ['ben', '안녕']])
    ann.member.leave('open:hall')
    await ben.sees(() => ben.people('open:hall').join() === 'ben')
  })

  it('meet in a private room, by invitation, and whoever comes later reads what was said', async () => {
    const [ann, ben, cat] = [await comes('ann'), await comes('ben'), await comes('cat')]
    const room = await team(ann, ben)
    await ann.member.say(room, 'only us')
    await ben.sees(() => ben.texts(room).includes('only us'))
    await assert.rejects(cat.member.enter(room), 'nobody invited her')
    assert.deepEqual(cat.room(room).ending, { code: 1, reason: 'unauthorized' })
    assert.deepEqual(ann.people(room), ['ann', 'ben'])
    cat.member.leave(room)

    await ann.member.ask('invite', { room, user: cat.me.id })
    await cat.sees(({ notices }) => notices.some((one) => one.type === 'invitation' && one.room === room && one.by === 'ann'))
    await cat.member.enter(room)
    assert.deepEqual(cat.texts(room), ['only us'])
    assert.deepEqual(cat.people(room), ['ann', 'ben', 'cat'])
  })

  it('cannot get into a private room past the back end, nor see or say anything there', async () => {
    const [ann, eve] = [await comes('ann'), await comes('eve')]
    const room = await team(ann)
    await ann.member.say(room, 'secret')
    const code = (expected) => ({ code: expected })
    const bare = eve.member.client.newSubscription(room)
    const refused = next(bare, 'unsubscribed')
    bare.subscribe()
    assert.equal((await refused).code, 103)
    await assert.rejects(eve.member.client.publish(room, { text: 'me too' }), code(103))
    await assert.rejects(eve.member.client.history(room, { limit: 10 }), code(103))
    await assert.rejects(eve.member.client.presence(room), code(103))
    await assert.rejects(eve.member.ask('subscription-token', { room }), { status: 403 })
    assert.deepEqual(ann.texts(room), ['secret'])
  })

  it('read news that only the back end can write, each once, however often it is sent', async () => {
    const [ann, sue] = [await comes('ann'), await comes('sue')]
    await ann.member.enter('news:all')
    for (const key of ['first', 'first', 'second', 'first']) await sue.member.ask('announce', { text: key, key })
    await ann.sees(() => ann.texts('news:all').includes('second'))
    assert.deepEqual(ann.room('news:all').messages.map(({ from, text }) => [from, text]), [[null, 'first'], [null, 'second']])
    await assert.rejects(ann.member.ask('announce', { text: 'fake', key: 'fake' }), { status: 403 })
    await assert.rejects(ann.member.say('news:all', 'fake'), { code: 103 })
    assert.deepEqual((await ann.room('news:all').subscription.history({ limit: 10 })).publications.map(({ data }) => data.text), ['first', 'second'])
  })

  it('get what was sent to them alone, also what came while they were away', async () => {
    const [ann, ben] = [await comes('ann'), await comes('ben')]
    const { room } = await ann.member.ask('open', { name: `team${++nth}` })
    const back = next(ben.member.client, 'connected')
    ben.cut()
    await ann.member.ask('invite', { room, user: ben.me.id })
    await back
    await ben.sees(({ notices }) => notices.length === 1)
    assert.deepEqual(ben.member.notices, [{ type: 'invitation', room, by: 'ann' }])
    assert.deepEqual(ann.member.notices, [])
  })

  it('lose nothing when their connection breaks, however often', async () => {
    const [ann, ben] = [await comes('ann'), await comes('ben')]
    const room = await team(ann, ben)
    const said = []
    for (let round = 0; round < 5; round++) {
      const back = next(ben.room(room).subscription, 'subscribed')
      for (let i = 0; i < 6; i++) {
        if (i === 3) ben.cut()
        said.push(`${round}.${i}`)
        await ann.member.say(room, said.at(-1))
      }
      await back
    }
    await ben.sees(() => ben.texts(room).length >= said.length)
    assert.deepEqual(ben.texts(room), said)
    assert.deepEqual(ben.room(room).recovered, [true, true, true, true, true])
    await ann.sees(() => ann.people(room).join() === 'ann,ben')
  })

  it('are shown out of a private room, at once, and do not come back', async () => {
    const [ann, ben] = [await comes('ann'), await comes('ben')]
    const room = await team(ann, ben)
    await ann.member.ask('revoke', { room, user: ben.me.id })
    await ben.sees(() => ben.room(room).state === 'unsubscribed')
    assert.deepEqual(ben.room(room).ending, { code: 2000, reason: 'server unsubscribe' })
    await ann.sees(() => ann.people(room).join() === 'ann')
    await ann.member.say(room, 'he is gone')
    ben.member.leave(room)
    await assert.rejects(ben.member.enter(room))
    await assert.rejects(ben.member.ask('revoke', { room, user: ann.me.id }), { status: 403 })
    await ben.member.enter('open:hall') // the rest of the application goes on
    ben.member.leave('open:hall')
  })
})

house('moderation', { staff: ['sue'] }, (at, comes) => {
  let sue
  const moderate = async (action, what) => {
    sue ??= await comes('sue')
    await sue.member.ask('moderate', { action, ...what })
  }
  const hall = 'open:hall'
  const back = (one, room) => next(one.room(room).subscription, 'subscribed')

  it('is for staff only', async () => {
    const ann = await comes('ann')
    for (const action of ['kick', 'mute', 'slow', 'redact', 'ban']) {
      await assert.rejects(ann.member.ask('moderate', { action, room: hall, user: ann.me.id }), { status: 403 })
    }
  })

  it('who is muted is told why, reads on, and stays muted over reconnects until it is over', async () => {
    const [mob, ann] = [await comes('mob'), await comes('ann')]
    const room = await team(ann, mob)
    await moderate('mute', { room, user: mob.me.id, reason: 'shouting' })
    await assert.rejects(mob.member.say(room, 'HEY'), { code: 103, message: 'muted: shouting' })
    const again = back(mob, room)
    mob.cut()
    await again
    await assert.rejects(mob.member.say(room, 'HEY'), { code: 103 })
    await ann.member.say(room, 'quiet now')
    await mob.sees(() => mob.texts(room).includes('quiet now'))
    await moderate('unmute', { room, user: mob.me.id })
    await mob.member.say(room, 'sorry')
    await ann.sees(() => ann.texts(room).includes('sorry'))
    assert.deepEqual(ann.texts(room), ['quiet now', 'sorry'])
  })

  it('who is kicked out of a room may come back', async () => {
    const [mob, ann] = [await comes('mob'), await comes('ann')]
    const room = await team(ann, mob)
    await moderate('kick', { room, user: mob.me.id, reason: 'cool down' })
    await mob.sees(() => mob.room(room).state === 'unsubscribed')
    assert.deepEqual(mob.room(room).ending, { code: 2000, reason: 'kicked: cool down' })
    await ann.sees(() => ann.people(room).join() === 'ann')
    mob.member.leave(room)
    await mob.member.enter(room)
    await ann.sees(() => ann.people(room).join() === 'ann,mob')
  })

  it('who is banned from a room is kept out, although the back end gives out the token', async () => {
    const [mob, ann] = [await comes('mob'), await comes('ann')]
    const room = await team(ann, mob)
    await moderate('ban', { room, user: mob.me.id, reason: 'spam' })
    await mob.sees(() => mob.room(room).state === 'unsubscribed')
    assert.deepEqual(mob.room(room).ending, { code: 2000, reason: 'banned: spam' })
    mob.member.leave(room)
    const before = at.house.backend.issued.subscription
    await assert.rejects(mob.member.enter(room))
    assert.equal(mob.room(room).ending.code, 103)
    assert.ok(at.house.backend.issued.subscription > before)
    await moderate('unban', { room, user: mob.me.id })
    mob.member.leave(room)
    await mob.member.enter(room)
    await mob.member.say(room, 'back again')
    await ann.sees(() => ann.texts(room).includes('back again'))
  })

  it('who is banned from the application is out at once and for good, with every connection and any token', async () => {
    const [mob, again, ann] = [await comes('mob'), await comes('mob'), await comes('ann')]
    const room = await team(ann, mob)
    const { token: old, endpoint } = await mob.member.ask('connection-token')
    await moderate('ban', { user: mob.me.id, reason: 'spam' })
    for (const one of [mob, again]) {
      await one.sees(({ state }) => state === 'disconnected')
      assert.deepEqual(one.member.ending, { code: 3507, reason: 'banned: spam' })
    }
    await ann.sees(() => ann.people(room).join() === 'ann')
    await assert.rejects(mob.member.ask('connection-token'), { status: 401 })
    await assert.rejects(Actor.login(at.house, 'mob'), { status: 403 })
    const sly = returns(new Centrifuge(endpoint, { websocket: WebSocket, token: old }))
    const out = next(sly, 'disconnected')
    sly.connect()
    assert.equal((await out).code, 3507)
    await moderate('unban', { user: mob.me.id })
    await comes('mob')
  })

  it('in slow mode everybody waits for the next word, and reads meanwhile', async () => {
    const [ann, ben] = [await comes('ann'), await comes('ben')]
    const room = await team(ann, ben)
    await moderate('slow', { room, seconds: 3600 })
    await ann.member.say(room, 'one')
    await assert.rejects(ann.member.say(room, 'two'), { code: 111, temporary: true })
    await ben.member.say(room, 'three')
    await moderate('slow', { room, seconds: 0 })
    await ann.member.say(room, 'four')
    await ben.sees(() => ben.texts(room).length === 3)
    assert.deepEqual(ben.texts(room), ['one', 'three', 'four'])
  })

  it('what is redacted is gone: for who has seen it, who was away, and who comes later', async () => {
    const [ann, ben] = [await comes('ann'), await comes('ben')]
    const room = await team(ann, ben)
    for (const text of ['fine', 'my password is 1234', 'oops']) await ann.member.say(room, text)
    await ben.sees(() => ben.texts(room).length === 3)
    const { offset } = ben.room(room).messages[1]
    const again = back(ben, room)
    ben.cut()
    await moderate('redact', { room, offset, reason: 'private' })
    await again
    for (const one of [ann, ben]) {
      await one.sees(() => one.texts(room)[1] === null)
      assert.deepEqual(one.texts(room), ['fine', null, 'oops'])
    }
    const cat = await comes('cat')
    await ann.member.ask('invite', { room, user: cat.me.id })
    await cat.member.enter(room)
    assert.deepEqual(cat.texts(room), ['fine', null, 'oops'])
    const kept = JSON.stringify(await cat.room(room).subscription.history({ limit: 100 }))
    assert.ok(!kept.includes('password'), kept)
  })
})

house('tokens that live for two seconds', { connectionLife: 2, subscriptionLife: 2, args: ['--expired-close-delay', '10s', '--expired-sub-close-delay', '10s'] }, (at, comes) => {
  it('are renewed in time by the client, and nobody notices', async () => {
    const [ann, ben] = [await comes('ann'), await comes('ben')]
    const room = await team(ann, ben)
    const before = { ...at.house.backend.issued }
    const moves = []
    ann.member.client.on('connecting', (why) => moves.push(why))
    ann.room(room).subscription.on('subscribing', (why) => moves.push(why))
    const { issued } = at.house.backend
    let n = 0
    while (issued.connection < before.connection + 4 || issued.subscription < before.subscription + 4) {
      await ben.member.say(room, `${++n}`)
      await ann.sees(() => ann.texts(room).length === n)
      await new Promise((settle) => setTimeout(settle, 50))
    }
    assert.deepEqual(moves, [])
    assert.deepEqual(ann.texts(room), Array.from({ length: n }, (_, i) => `${i + 1}`))
  })

  it('are not given again to who may not be there any more: the room is left, the rest stays', async () => {
    const [ann, ben] = [await comes('ann'), await comes('ben')]
    const room = await team(ann, ben)
    at.house.backend.rooms.get(room).members.delete(ben.me.id) // nobody tells the gateway
    await ben.sees(() => ben.room(room).state === 'unsubscribed')
    assert.deepEqual(ben.room(room).ending, { code: 1, reason: 'unauthorized' })
    await ann.sees(() => ann.people(room).join() === 'ann')
    assert.equal(ben.member.state, 'connected')
  })

  it('nor to who has logged out elsewhere: the connection ends', async () => {
    const ann = await comes('ann')
    at.house.backend.sessions.delete(ann.member.session)
    await ann.sees(({ state }) => state === 'disconnected')
    assert.deepEqual(ann.member.ending, { code: 1, reason: 'unauthorized' })
  })
})

house('tokens that are no good', {}, (at, comes) => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const seconds = (from) => Math.floor(Date.now() / 1000) + from
  const claims = { sub: 'u1', exp: seconds(3600) }
  const good = (more = {}) => token({ ...claims, ...more }, { key: at.house.secret })
  const pieces = (text) => text.split('.')
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

  // Each is made of the claims of a good one.
  const forged = {
    'signed with another secret': (more) => token({ ...claims, ...more }, { key: 'another secret' }),
    'signed with the pair of somebody else': (more) => token({ ...claims, ...more }, { alg: 'ES256', key: foreign }),
    'not signed, as they say': (more) => `${part({ alg: 'none', typ: 'JWT' })}.${part({ ...claims, ...more })}.`,
    'not signed, though they do not say so': (more) => `${pieces(good(more)).slice(0, 2).join('.')}.`,
    'with other claims than were signed': (more) => {
      const [head, , signature] = pieces(good(more))
      return `${head}.${part({ ...claims, ...more, sub: 'u2' })}.${signature}`
    },
    'with another algorithm than was signed': (more) => {
      const [, body, signature] = pieces(good(more))
      return `${part({ alg: 'HS512', typ: 'JWT' })}.${body}.${signature}`
    },
    'with one bit of the signature changed': (more) => {
      const [head, body, signature] = pieces(good(more))
      const bytes = Buffer.from(signature, 'base64url')
      bytes[0] ^= 1
      return `${head}.${body}.${bytes.toString('base64url')}`
    },
    'expired and forged': (more) => token({ ...claims, ...more, exp: seconds(-10) }, { key: 'another secret' }),
    'of no form at all': () => 'eyJnonsense',
  }

  function client(options) {
    return returns(new Centrifuge(at.house.gateway.url, { websocket: WebSocket, minReconnectDelay: 1, maxReconnectDelay: 50, ...options }))
  }
  async function fate(emitter, begin, ...events) {
    const first = Promise.race(events.map(async (event) => [event, await next(emitter, event)]))
    begin()
    return first
  }

  for (const [what, make] of Object.entries(forged)) {
    it(`a connection token ${what}: the connection ends with 3500, for good`, async () => {
      const one = client({ token: make() })
      const [event, { code, reason }] = await fate(one, () => one.connect(), 'connected', 'disconnected')
      assert.deepEqual([event, code, reason], ['disconnected', 3500, 'invalid token'])
    })

    it(`a subscription token ${what}: the room is refused with 103, the connection stays`, async () => {
      const one = client({ token: good() })
      one.connect()
      await one.ready()
      const channel = '$team:any'
      const sub = one.newSubscription(channel, { token: make({ channel }) })
      const [event, { code }] = await fate(sub, () => sub.subscribe(), 'subscribed', 'unsubscribed')
      assert.deepEqual([event, code, one.state], ['unsubscribed', 103, 'connected'])
    })
  }

  it('an expired connection token: the client asks for another one, once, and is in', async () => {
    let asked = 0
    const getToken = async () => (asked++, good())
    const one = client({ token: good({ exp: seconds(-1) }), getToken })
    const [event] = await fate(one, () => one.connect(), 'connected', 'disconnected')
    assert.deepEqual([event, asked], ['connected', 1])
  })

  it('an expired subscription token: the client asks for another one, once, and is in', async () => {
    const one = client({ token: good() })
    one.connect()
    await one.ready()
    let asked = 0
    const channel = '$team:any'
    const getToken = async () => (asked++, good({ channel }))
    const sub = one.newSubscription(channel, { token: good({ channel, exp: seconds(-1) }), getToken })
    const [event] = await fate(sub, () => sub.subscribe(), 'subscribed', 'unsubscribed')
    assert.deepEqual([event, asked], ['subscribed', 1])
  })

  it('a subscription token of somebody else, or for another room: the connection ends with 3500', async () => {
    for (const wrong of [{ channel: '$team:any', sub: 'u2' }, { channel: '$team:other' }]) {
      const one = client({ token: good() })
      one.connect()
      await one.ready()
      const sub = one.newSubscription('$team:any', { token: good(wrong) })
      const [, { code }] = await fate(one, () => sub.subscribe(), 'disconnected')
      assert.equal(code, 3500)
    }
  })

  it('a token of one kind is none of the other', async () => {
    const one = client({ token: good({ channel: '$team:any' }) })
    assert.equal((await fate(one, () => one.connect(), 'connected', 'disconnected'))[1].code, 3500)
    const two = client({ token: good() })
    two.connect()
    await two.ready()
    const sub = two.newSubscription('$team:any', { token: good() })
    assert.equal((await fate(sub, () => sub.subscribe(), 'subscribed', 'unsubscribed'))[1].code, 103)
  })

  it('none at all: the connection ends with 3501', async () => {
    const one = client()
    assert.equal((await fate(one, () => one.connect(), 'connected', 'disconnected'))[1].code, 3501)
  })

  it('meanwhile good ones work', async () => {
    const ann = await comes('ann')
    const room = await team(ann)
    await ann.member.say(room, 'fine')
    await ann.sees(() => ann.texts(room).includes('fine'))
  })
})
