// SPDX-License-Identifier: MIT
// Jobs of clients: jobs.submit, jobs.get, jobs.cancel, and the worker within a gateway that publishes.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

import { Api, KEY } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it } from '../lib/suite.mjs'

const folder = mkdtempSync(join(tmpdir(), 'madang-jobs-'))
after(() => rmSync(folder, { recursive: true }))

let files = 0
const newStore = () => join(folder, `${++files}.db`)
const start = (store, args = [], options = {}) => startGateway(['--store', store, '--api-key', KEY, ...args], { auth: 'guest', ...options })
const guest = (name) => ({ data: { guest: { key: `the-secret-key-of-${name}`, name } } })
const HOUR = 3600_000

const submit = (c, channel, data, when) => c.ok({ rpc: { method: 'jobs.submit', data: { kind: 'publish', ...when, data: { channel, data } } } })
const rpc = (c, method, data) => c.ok({ rpc: { method, data } })

// What has become of a job, once the worker has told so.
async function end(c, id) {
  for (;;) {
    const { data } = await rpc(c, 'jobs.get', { id })
    if (data.state !== 'leased' && data.state !== 'ready') return data
  }
}

async function refused(c, data, code) {
  const { value } = await c.reply(c.command({ rpc: { method: 'jobs.submit', data } }))
  assert.equal(value.error?.code, code, JSON.stringify(value))
}

for (const hubs of [1, 3]) {
  it(`a client has something published later, as itself and once, ${hubs} hub(s)`, async () => {
    const gateway = await start(newStore(), [], { hubs })
    const ann = await Chatter.join(gateway, guest('ann'))
    const bob = await Chatter.join(gateway, guest('bob'))
    for (const c of [ann, bob]) await c.subscribe('yard')
    const before = Date.now()
    const { data } = await submit(ann, 'yard', { text: 'tea\n time' }, { delay_ms: 300 })
    assert.match(data.id, /^_clients:\d+$/)
    assert.ok(data.at_ms >= before + 300)
    for (const c of [ann, bob]) {
      const pub = await c.pub('yard')
      assert.deepEqual(pub.data, { text: 'tea\n time' })
      assert.equal(pub.offset, 1)
      assert.equal(pub.info.conn_info.name, 'ann')
      assert.equal(pub.tags.job, '1')
    }
    assert.ok(Date.now() >= before + 300, 'it is not early')
    assert.deepEqual(await end(ann, data.id), { state: 'unknown' })
    const { publications } = await ann.ok({ history: { channel: 'yard', limit: 10 } })
    assert.equal(publications.length, 1)
    await gateway.stop()
  })
}

it('what is to be published survives the death of the gateway and arrives once', async () => {
  const store = newStore()
  let gateway = await start(store)
  let ann = await Chatter.join(gateway, guest('ann'))
  const { epoch } = await ann.subscribe('yard')
  const at = Date.now() + 1500
  const { data } = await submit(ann, 'yard', 'wake up', { at_ms: at })
  assert.equal(data.at_ms, at)
  await gateway.kill()
  gateway = await start(store)
  ann = await Chatter.join(gateway, guest('ann'))
  const { publications = [] } = await ann.ok({ subscribe: { channel: 'yard', recover: true, epoch, offset: 0 } })
  const pub = publications[0] ?? (await ann.pub('yard'))
  assert.equal(pub.data, 'wake up')
  assert.ok(Number(pub.tags.t) >= at, 'it is not early')
  await gateway.stop()
  gateway = await start(store) // what might still be held would be done once more
  ann = await Chatter.join(gateway, guest('ann'))
  await ann.subscribe('yard')
  await submit(ann, 'yard', 'the end', { delay_ms: 0 })
  assert.equal((await ann.pub('yard')).data, 'the end')
  const all = await ann.ok({ history: { channel: 'yard', limit: 10 } })
  assert.deepEqual(all.publications.map((one) => one.data), ['wake up', 'the end'])
  await gateway.stop()
})

it('a job can be looked at and taken back by its user, from anywhere, and by nobody else', async () => {
  const gateway = await start(newStore())
  const ann = await Chatter.join(gateway, guest('ann'))
  const other = await Chatter.join(gateway, guest('ann'))
  const bob = await Chatter.join(gateway, guest('bob'))
  await ann.subscribe('yard')
  const { data } = await submit(ann, 'yard', 'later', { delay_ms: HOUR })
  assert.deepEqual((await rpc(other, 'jobs.get', { id: data.id })).data, { state: 'delayed', at_ms: data.at_ms })
  assert.deepEqual((await rpc(bob, 'jobs.get', { id: data.id })).data, { state: 'unknown' })
  assert.deepEqual((await rpc(bob, 'jobs.cancel', { id: data.id })).data, { status: 'gone' })
  assert.deepEqual((await rpc(other, 'jobs.get', { id: data.id })).data.state, 'delayed')
  assert.deepEqual((await rpc(other, 'jobs.cancel', { id: data.id })).data, { status: 'ok' })
  assert.deepEqual((await rpc(other, 'jobs.cancel', { id: data.id })).data, { status: 'gone' })
  assert.deepEqual((await rpc(ann, 'jobs.get', { id: data.id })).data, { state: 'unknown' })
  for (const id of ['', '17', '_publish:17', '_clients:', '_clients:x', '_clients:-1']) {
    const { value } = await ann.reply(ann.command({ rpc: { method: 'jobs.cancel', data: { id } } }))
    assert.equal(value.error.code, 107, id)
  }
  await gateway.stop()
})

it('a user has so many jobs and no more, on all connections together', async () => {
  const gateway = await start(newStore(), ['--jobs-per-user', '3'])
  const ann = await Chatter.join(gateway, guest('ann'))
  const other = await Chatter.join(gateway, guest('ann'))
  const bob = await Chatter.join(gateway, guest('bob'))
  for (const c of [ann, other, bob]) await c.subscribe('yard')
  const job = (n) => ({ kind: 'publish', delay_ms: HOUR, data: { channel: 'yard', data: n } })
  const ids = []
  for (const c of [ann, other, ann]) ids.push((await rpc(c, 'jobs.submit', job(1))).data.id)
  assert.equal(new Set(ids).size, 3)
  await refused(ann, job(4), 106)
  await refused(other, job(4), 106)
  await rpc(bob, 'jobs.submit', job(1))
  await rpc(ann, 'jobs.cancel', { id: ids[1] })
  await rpc(other, 'jobs.submit', job(5))
  await refused(ann, job(6), 106)
  await gateway.stop()
})

it('a user may ask for so many jobs in an hour, also if it takes them all back', async () => {
  const gateway = await start(newStore(), ['--jobs-user-per-hour', '6'], { hubs: 1 })
  const ann = await Chatter.join(gateway, guest('ann'))
  const other = await Chatter.join(gateway, guest('ann'))
  const bob = await Chatter.join(gateway, guest('bob'))
  for (const c of [ann, other, bob]) await c.subscribe('yard')
  let n = 0
  const job = () => ({ kind: 'publish', key: `key ${++n}`, delay_ms: HOUR, data: { channel: 'yard', data: n } })
  for (const c of [ann, other, ann, other, ann, other]) {
    const { data } = await rpc(c, 'jobs.submit', job())
    assert.deepEqual((await rpc(c, 'jobs.cancel', { id: data.id })).data, { status: 'ok' })
  }
  for (const c of [ann, other]) await refused(c, job(), 111)
  await refused(ann, { ...job(), key: '' }, 107) // is not counted
  await rpc(bob, 'jobs.submit', job())
  await ann.ok({ publish: { channel: 'yard', data: 'all else goes on' } })
  assert.equal((await gateway.metrics()).madang_refused_total, 2)
  await gateway.stop()
})

it('a job that is asked for twice with one key is one, whatever became of it, and the second answer names it', async () => {
  const gateway = await start(newStore(), ['--jobs-per-user', '2'])
  const ann = await Chatter.join(gateway, guest('ann'))
  const other = await Chatter.join(gateway, guest('ann'))
  const bob = await Chatter.join(gateway, guest('bob'))
  for (const c of [ann, other, bob]) await c.subscribe('yard')
  const job = (key, n, delay_ms = HOUR) => ({ kind: 'publish', key, delay_ms, data: { channel: 'yard', data: n } })
  const ask = async (c, ...what) => (await rpc(c, 'jobs.submit', job(...what))).data
  const first = await ask(ann, 'k', 1)
  assert.equal(first.repeated, undefined)
  assert.deepEqual(await ask(other, 'k', 1, HOUR / 2), { ...first, repeated: true }) // it stays when it was to be
  const [one, two] = await Promise.all([ask(ann, 'l', 2), ask(other, 'l', 2)]) // and it takes one place
  assert.equal(one.id, two.id)
  await refused(ann, job('m', 3), 106)
  assert.equal((await ask(ann, 'k', 1)).id, first.id)
  await refused(other, job('k', 'something else'), 107)
  assert.notEqual((await ask(bob, 'k', 1)).id, first.id) // bob's keys are bob's
  await rpc(ann, 'jobs.cancel', { id: first.id })
  assert.deepEqual(await ask(other, 'k', 1), { id: first.id, repeated: true }) // it is not put again
  const soon = await ask(ann, 'n', 'said', 0)
  assert.equal((await bob.pub('yard')).data, 'said')
  assert.deepEqual(await end(ann, soon.id), { state: 'unknown' })
  assert.deepEqual(await ask(other, 'n', 'said', 0), { id: soon.id, repeated: true })
  await ask(ann, 'é\u0000'.repeat(21), 'the longest', 0) // 63 bytes
  assert.equal((await bob.pub('yard')).data, 'the longest')
  for (const bad of ['', 'x'.repeat(65), 7, {}, []]) await refused(ann, job(bad, 1), 107)
  await gateway.stop()
})

it('only what the configuration allows can be asked for, by whom may do it now', async () => {
  const gateway = await start(newStore(), ['--jobs-max-delay', '1h'])
  const ann = await Chatter.join(gateway, guest('ann'))
  await ann.subscribe('yard')
  const data = { channel: 'yard', data: 1 }
  await refused(ann, { kind: 'webhook', data: { url: 'http://127.0.0.1/' } }, 103)
  await refused(ann, { kind: 'exec', data }, 103)
  await refused(ann, { data }, 103)
  await refused(ann, { kind: 'publish' }, 107)
  await refused(ann, { kind: 'publish', data: { channel: 'yard' } }, 107)
  await refused(ann, { kind: 'publish', data: { data: 1 } }, 107)
  await refused(ann, { kind: 'publish', data: { channel: '$inside', data: 1 } }, 103)
  await refused(ann, { kind: 'publish', data, delay_ms: 1, at_ms: Date.now() + 1 }, 107)
  await refused(ann, { kind: 'publish', data, delay_ms: HOUR + 1 }, 106)
  await refused(ann, { kind: 'publish', data, at_ms: Date.now() + 2 * HOUR }, 106)
  await refused(ann, { kind: 'publish', data, delay_ms: -1 }, 107)
  await gateway.stop()
  const none = await start(newStore(), ['--jobs-kinds', ''])
  const bob = await Chatter.join(none, guest('bob'))
  await bob.subscribe('yard')
  await refused(bob, { kind: 'publish', data }, 103)
  await none.stop()
  const memory = await start('none')
  const eve = await Chatter.join(memory, guest('eve'))
  await eve.subscribe('yard')
  await refused(eve, { kind: 'publish', data }, 108) // there is nowhere to keep it
  await memory.stop()
})

it('who is banned meanwhile is not published', async () => {
  const gateway = await start(newStore())
  const api = new Api(gateway)
  const ann = await Chatter.join(gateway, guest('ann'))
  const bob = await Chatter.join(gateway, guest('bob'))
  await ann.subscribe('yard')
  await bob.subscribe('yard')
  await api.ok('queue_pause', { queue: '_clients' })
  const { data } = await submit(ann, 'yard', 'from a mute', { delay_ms: 0 })
  await api.ok('mute', { user: await userOf(bob, 'ann'), channel: 'yard' })
  await submit(bob, 'yard', 'behind it', { delay_ms: 0 })
  await api.ok('queue_resume', { queue: '_clients' })
  assert.equal((await bob.pub('yard')).data, 'behind it')
  assert.equal((await end(ann, data.id)).state, 'dead')
  await gateway.stop()
})

// The user id of somebody in the yard.
async function userOf(c, name) {
  const { presence } = await c.ok({ presence: { channel: 'yard' } })
  return Object.values(presence).find((one) => one.conn_info.name === name).user
}
