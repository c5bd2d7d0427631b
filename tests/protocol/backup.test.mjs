// SPDX-License-Identifier: MIT
// `madang backup`: a copy of a store that is in use, and what becomes of whom it is put back for.
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, request as call } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Api, KEY } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { freePort } from '../lib/ports.mjs'
import { run } from '../lib/program.mjs'
import { it, returns } from '../lib/suite.mjs'

const torture = process.env.MADANG_TORTURE === '1'
const folder = mkdtempSync(join(tmpdir(), 'madang-backup-'))
after(() => rmSync(folder, { recursive: true }))

let files = 0
const newStore = () => join(folder, `${++files}.db`)
const KEPT = ['--rooms-history-size', '1000000', '--rooms-history-bytes', '64MiB', '--history-limit', '10000', '--api-key', KEY]
const start = (store, options = {}) => startGateway(['--store', store, ...KEPT], options)

const madang = (words) => run(process.env.MADANG_BIN, words, { cwd: folder })

async function done(...words) {
  const { code, out, err } = await madang(words)
  assert.equal(code, 0, err)
  assert.equal(err, '')
  return out
}

async function refused(...words) {
  const { code, out, err } = await madang(words)
  assert.equal(code, 1, out)
  assert.equal(out, '')
  return err
}

// Does it again and again until it is told to stop.
function keepOn(step) {
  let going = true
  const ended = (async () => {
    while (going) await step()
  })()
  return () => {
    going = false
    return ended
  }
}

it('a backup made under load has all that was acknowledged before it, and clients are told when it is put back', async () => {
  const store = newStore()
  const copy = newStore()
  const port = await freePort()
  let gateway = await start(store, { port })
  const client = returns(new Centrifuge(gateway.url, { websocket: WebSocket, minReconnectDelay: 20, maxReconnectDelay: 200 }))
  const room = client.newSubscription('r', { recoverable: true, positioned: true, minResubscribeDelay: 20, maxResubscribeDelay: 200 })
  const subscribed = []
  room.on('subscribed', (context) => subscribed.push(context))
  room.subscribe()
  client.connect()
  await room.ready()

  const c = await Chatter.join(gateway)
  const api = new Api(gateway)
  const filling = 'x'.repeat(8000) // so that there is something to copy
  const published = []
  const jobs = []
  const stops = [
    keepOn(async () => {
      const n = published.length + 1
      await c.publish('r', { n })
      published.push(n)
    }),
    keepOn(async () => jobs.push((await api.ok('queue_put', { queue: 'work', jobs: [{ kind: 'k', data: { filling } }] })).jobs[0].id)),
  ]
  while (published.length < 60 || jobs.length < (torture ? 3000 : 60)) await new Promise(setImmediate)
  const before = { published: published.length, jobs: [...jobs] }
  assert.match(await done('backup', copy, '--store', store), /whole: 1 room, \d+ publications, 0 followers, \d+ queues?, \d+ jobs, 0 dead jobs\n$/)
  assert.equal(statSync(copy).mode & 0o777, 0o600)
  const here = published.length
  while (published.length < here + 20) await new Promise(setImmediate) // it goes on
  for (const stop of stops) await stop()
  const position = (await c.ok({ history: { channel: 'r', limit: 0 } }))
  await gateway.stop()

  gateway = await start(copy, { port })
  gateway.expect(/a backup/)
  const again = await Chatter.join(gateway)
  const { epoch, offset } = await again.ok({ history: { channel: 'r', limit: 0 } })
  assert.notEqual(epoch, position.epoch)
  const kept = []
  while (kept.length < offset) { // more than one answer holds
    const { publications } = await again.ok({ history: { channel: 'r', limit: 1000, since: { epoch, offset: kept.length } } })
    assert.ok(publications.length > 0)
    kept.push(...publications.map(({ data }) => data.n))
  }
  assert.deepEqual(kept, Array.from({ length: offset }, (_, i) => i + 1))
  assert.ok(offset >= before.published && offset < position.offset, `${before.published} ${offset} ${position.offset}`)
  const there = new Api(gateway)
  const stats = await there.ok('queue_stats', { queue: 'work' })
  const taken = new Set()
  for (let some; (some = (await there.ok('queue_take', { queue: 'work', max: 100 })).jobs).length; ) for (const { id } of some) taken.add(id)
  assert.equal(taken.size, stats.ready)
  assert.deepEqual(before.jobs.filter((id) => !taken.has(id)), [])

  while (subscribed.length < 2) await new Promise((settle) => room.once('subscribed', settle))
  assert.deepEqual([subscribed[1].wasRecovering, subscribed[1].recovered], [true, false])
  assert.equal(subscribed[1].streamPosition.epoch, epoch)
  const heard = new Promise((settle) => room.once('publication', settle))
  await again.publish('r', { n: 'new' })
  assert.deepEqual((await heard).offset, offset + 1)
  client.disconnect()
  await gateway.stop()
})

it('a store without a gateway is copied too, and is left as it is', async () => {
  const store = newStore()
  const gateway = await start(store)
  const c = await Chatter.join(gateway)
  for (let n = 1; n <= 20; n++) await c.publish('r', { n })
  await gateway.kill() // most of it lies in the -wal
  const before = [readFileSync(store), readFileSync(`${store}-wal`)]
  const copy = newStore()
  assert.match(await done('backup', copy, `--store=${store}`), /whole: 1 room, 20 publications/)
  assert.deepEqual([readFileSync(store), readFileSync(`${store}-wal`)], before)
  assert.match(await done('check', copy), /whole: 1 room, 20 publications/)
  assert.match(await done('check', store), /whole: 1 room, 20 publications/)
  assert.deepEqual([readFileSync(store), readFileSync(`${store}-wal`)], before)
  assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.part')), [])
})

it('what cannot be backed up is said in a sentence, and nothing is left behind', async () => {
  const store = newStore()
  const copy = newStore()
  const gateway = await start(store)
  assert.match(await refused('backup'), /say where the backup goes/)
  assert.match(await refused('backup', 'a', 'b'), /say where the backup goes, one FILE/)
  assert.match(await refused('backup', '--frob', 'a'), /unknown option "--frob"/)
  for (const end of ['-wal', '-shm', '-journal', '.ballast', '.sock'])
    assert.match(await refused('backup', `${store}${end}`, '--store', store, '--force'), /is the name of a part of a store/)
  assert.match(await refused('backup', copy, '--store', 'none'), /keeps nothing in a file/)
  assert.match(await refused('backup', copy, '--backplane', 'redis', '--redis-url', 'redis://127.0.0.1'), /with Redis, back up its servers/)
  assert.match(await refused('backup', copy, '--store', join(folder, 'missing.db')), /missing\.db is not there/)
  assert.match(await refused('backup', join(folder, 'missing', 'x'), '--store', store), /no such folder/)
  assert.match(await refused('backup', folder, '--store', store, '--force'), /no file that could be replaced/)
  assert.match(await refused('backup', store, '--store', store, '--force'), /is the store itself/)
  const link = join(folder, 'link')
  symlinkSync(store, link)
  assert.match(await refused('backup', link, '--store', store, '--force'), /no file that could be replaced/)
  rmSync(link)

  writeFileSync(copy, 'precious')
  assert.match(await refused('backup', copy, '--store', store), /is there already; --force replaces it/)
  assert.equal(readFileSync(copy, 'utf8'), 'precious')
  await done('backup', copy, '--store', store, '--force')
  assert.match(await done('check', copy), /whole: /)
  assert.match(await refused('check', store), /is in use by another process/)

  const bytes = ['-c', 'exec "$0" backup "$(printf "\\377.db")" --store "$1"', process.env.MADANG_BIN, store]
  assert.match((await run('sh', bytes, { cwd: folder })).err, /the path has to be UTF-8/)

  const other = await start(newStore())
  assert.match(await refused('backup', join(folder, `${files}.db`), '--store', store, '--force'), /is the store of a gateway that runs/)
  await other.stop()
  assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.part')), [])
  await gateway.stop()
})

it('a -wal of another file is not taken for that of a backup', async () => {
  const store = newStore()
  const gateway = await start(store)
  await (await Chatter.join(gateway)).publish('r', 1)
  const copy = newStore()
  await done('backup', copy, '--store', store)
  const trial = await start(copy)
  trial.expect(/a backup/)
  await (await Chatter.join(trial)).publish('r', 2)
  await trial.kill()
  const log = readFileSync(`${copy}-wal`)
  assert.match(await refused('backup', copy, '--store', store, '--force'), /has a -wal beside it, of what was there before; move it away/)
  rmSync(copy)
  assert.match(await refused('backup', copy, '--store', store), /has a -wal beside it/)
  assert.throws(() => statSync(copy), { code: 'ENOENT' })
  const other = newStore()
  await done('backup', other, '--store', store)
  copyFileSync(other, copy)
  assert.match(await refused('check', copy), /is a backup, and the -wal beside it is that of another file; move the -wal away/)
  assert.deepEqual(readFileSync(`${copy}-wal`), log)
  rmSync(`${copy}-wal`)
  assert.match(await done('check', copy), /whole: 1 room, 1 publication,/)
  await gateway.stop()
})

it('a gateway that goes away leaves no part of a backup', async () => {
  const store = newStore()
  const copy = newStore()
  const paths = new Set()
  const server = createServer((request, response) => {
    if (paths.size) return server.closeAllConnections()
    let body = ''
    request.on('data', (text) => (body += text))
    request.on('end', () => {
      paths.add(JSON.parse(body).path)
      for (const path of paths) writeFileSync(path, 'the first slice')
      response.end(JSON.stringify({ result: { bytes: 100, copied: 15, finished: false } }))
    })
  })
  await new Promise((settle) => server.listen(`${store}.sock`, settle))
  const said = await refused('backup', copy, '--store', store)
  assert.match(said, /no gateway answers/)
  assert.doesNotMatch(said, /--url|--api-key/)
  await new Promise((settle) => server.close(settle))
  assert.deepEqual([...paths].map((path) => path.startsWith(`${copy}.`)), [true])
  for (const path of [copy, ...paths]) assert.throws(() => statSync(path), { code: 'ENOENT' })
})

it('a backup that is damaged is not put in its place', async () => {
  const store = newStore()
  const gateway = await start(store)
  await (await Chatter.join(gateway)).publish('r', 1)
  await gateway.stop()
  const bytes = readFileSync(store)
  bytes.fill(0x5a, 3 * 4096, 8 * 4096)
  writeFileSync(store, bytes)
  const copy = newStore()
  assert.match(await refused('backup', copy, '--store', store), /is damaged/)
  assert.match(await refused('check', store), /is damaged/)
  assert.deepEqual(readFileSync(store), bytes)
  assert.throws(() => statSync(copy), { code: 'ENOENT' })
  const foreign = newStore()
  copyFileSync(process.env.MADANG_BIN, foreign)
  assert.match(await refused('check', foreign), /is no store of madang/)
})

// A call on the socket beside the store.
function owner(store, body) {
  return new Promise((settle, fail) => {
    const asked = call({ socketPath: `${store}.sock`, path: '/api/backup', method: 'POST', headers: { 'Content-Length': Buffer.byteLength(body) } }, (answer) => {
      let text = ''
      answer.on('data', (more) => (text += more))
      answer.on('end', () => settle(JSON.parse(text)))
    })
    asked.on('error', fail)
    asked.end(body)
  })
}

it('only the owner may ask a gateway for it: no key writes files', async () => {
  const store = newStore()
  const gateway = await start(store)
  const path = newStore()
  await new Api(gateway).fails('backup', { path }, 103)
  const [reply] = (await new Api(gateway).ok('batch', { commands: [{ backup: { path } }] })).replies
  assert.equal(reply.error.code, 103)
  assert.throws(() => statSync(path), { code: 'ENOENT' })
  for (const wrong of ['x.db', './x', '', '/', '/tmp/', '/tmp/a\0b', 7]) assert.equal((await owner(store, JSON.stringify({ path: wrong }))).error.code, 107, wrong)
  let answer
  do answer = await owner(store, JSON.stringify({ path }))
  while (!answer.result.finished)
  assert.deepEqual(answer.result, { bytes: statSync(path).size, copied: statSync(path).size, finished: true })
  assert.match((await owner(store, JSON.stringify({ path }))).error.message, /is there already/)
  mkdirSync(join(folder, 'd'))
  assert.match((await owner(store, JSON.stringify({ path: join(folder, 'd') }))).error.message, /is there already/)
  await gateway.stop()
})
