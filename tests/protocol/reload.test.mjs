// SPDX-License-Identifier: MIT
// SIGHUP: the configuration is read again, whole or not at all, and no session notices more than it must.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe } from 'node:test'

import { Api, post } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { request, startGateway } from '../lib/gateway.mjs'
import { it } from '../lib/suite.mjs'
import { keyPair, token } from '../lib/token.mjs'
import { Wire } from '../lib/wire.mjs'

let folder, file, gateway
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madang-reload-'))
  file = join(folder, 'madang.ini')
})
after(() => rm(folder, { recursive: true }))
afterEach(async () => {
  await gateway?.stop()
  gateway = undefined
})

const write = (...lines) => writeFile(file, lines.join('\n') + '\n')

async function start(lines, { args = [], ...options } = {}) {
  await write(...lines)
  gateway = await startGateway(['--config', file, ...args], { hubs: 2, ...options })
}

const reload = async (lines, options) => {
  await write(...lines)
  return gateway.reload(options)
}

// Two sessions, so that both hubs have one.
const pair = async (...args) => [await Chatter.join(gateway, ...args), await Chatter.join(gateway, ...args)]

describe('rules of rooms', () => {
  const open = ['[rooms chat]', '[rooms old]']
  const shut = ['[rooms chat]', 'allow_publish_for_client = off', 'allow_publish_for_subscriber = off', '[rooms new]']

  it('hold for the next command of sessions that are there', async () => {
    await start(open, { auth: 'guest' })
    for (const one of await pair()) {
      await one.subscribe('chat:a')
      await one.publish('chat:a', 1)
      await one.fails({ subscribe: { channel: 'new:a' } }, 102)
    }
    const [x, y] = await pair()
    await reload(shut)
    for (const one of [x, y]) {
      await one.fails({ publish: { channel: 'chat:a', data: 2 } }, 103)
      await one.subscribe('new:a')
      await one.fails({ subscribe: { channel: 'old:a' } }, 102)
    }
  })

  it('of rates hold for sessions that are there', async () => {
    await start([], { auth: 'guest' })
    const c = await Chatter.join(gateway)
    await c.publish('room', 'slowly')
    await reload(['[limits]', 'session_publishes = 1', 'burst = 5s'])
    const ids = c.command(...Array.from({ length: 40 }, () => ({ publish: { channel: 'room', data: 1 } })))
    const replies = await Promise.all(ids.map((id) => c.reply(id)))
    assert.ok(replies.slice(-10).some(({ value }) => value.error?.code === 111))
    await c.leave()
  })

  it('leave subscriptions alone, even those of a namespace that is gone', async () => {
    await start([...open, '[api]', 'key = one'])
    const [a, b] = await pair()
    for (const one of [a, b]) {
      await one.subscribe('chat:a')
      await one.subscribe('old:a')
    }
    const log = await reload([...shut, '[api]', 'key = one'])
    assert.match(log, /\[rooms old\]: gone/)
    await new Api(gateway, { key: 'one' }).ok('publish', { channel: 'chat:a', data: { n: 1 } })
    for (const one of [a, b]) {
      assert.deepEqual((await one.pub('chat:a')).data, { n: 1 })
      await one.fails({ rpc: { method: 'rooms.typing', data: { room: 'old:a' } } }, 103)
      await one.ok({ unsubscribe: { channel: 'old:a' } })
    }
  })
})

describe('keys', () => {
  const connect = async (key) => {
    const one = await Chatter.open(gateway)
    one.command({ connect: { token: token({ sub: '1' }, { key }) } })
    return one
  }

  it('of tokens are replaced without ending who came with the old ones', async () => {
    await start(['[jwt]', 'hmac_secret = first'], { auth: 'jwt' })
    const old = await connect('first')
    await old.reply(1)
    const log = await reload(['[jwt]', 'hmac_secret = second'])
    assert.match(log, /\[jwt\] hmac_secret: changed$/m)
    assert.doesNotMatch(gateway.log, /first|second/)
    for (let i = 0; i < 2; i++) {
      await (await connect('first')).closed(3500)
      const one = await connect('second')
      await one.reply(1)
    }
    await old.fence()
  })

  it('of tokens come from a file that is read again', async () => {
    const secret = join(folder, 'secret')
    await writeFile(secret, 'first\n')
    const lines = ['[jwt]', `hmac_secret_file = ${secret}`]
    await start(lines, { auth: 'jwt' })
    await (await connect('second')).closed(3500)
    await writeFile(secret, 'second\n')
    await reload(lines)
    await (await connect('second')).reply(1)
    await rm(secret)
    const log = await reload(lines, { refused: true })
    assert.ok(log.includes(secret), log)
    await (await connect('second')).reply(1)
  })

  it('of a JWK set stay while its URL does, and come from a new one', async () => {
    const alg = 'ES256'
    const [a, b] = ['a', 'b'].map((kid) => keyPair(alg, { kid, alg, use: 'sig' }))
    const server = createServer((asked, answer) => answer.end(JSON.stringify({ keys: [asked.url === '/a' ? a.jwk : b.jwk] })))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const set = (name) => ['[jwt]', `jwks = http://127.0.0.1:${server.address().port}/${name}`, 'jwks_cooldown = 1s']
      const come = async ({ privateKey: key, jwk: { kid } }) => {
        const one = await Chatter.open(gateway)
        const id = one.command({ connect: { token: token({ sub: '1' }, { alg, key, header: { kid } }) } })
        return one.reply(id).then(({ value }) => (value.error ? value.error.code : 'in'), () => one.close.code)
      }
      const until = async (pair) => {
        while ((await come(pair)) !== 'in') await new Promise((settle) => setTimeout(settle, 50))
      }
      await start(set('a'), { auth: 'jwt' })
      await until(a)
      await reload([...set('a'), 'audience = x', '[client]', 'ping_interval = 9s'])
      await reload(set('a'))
      assert.equal(await come(a), 'in', 'right after a reload the set is there')
      await reload(set('b'))
      await until(b)
      assert.notEqual(await come(a), 'in')
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  it('of the API are replaced, from the option and the file', async () => {
    const keys = join(folder, 'api.keys')
    await writeFile(keys, 'aaa publish\n')
    await start(['[api]', 'key = one', `key_file = ${keys}`])
    const status = async (key, method = 'info') => (await post(gateway, `/api/${method}`, {}, { key })).status
    assert.deepEqual([await status('one'), await status('two'), await status('bbb')], [200, 401, 401])
    await writeFile(keys, 'bbb read\n')
    await reload(['[api]', 'key = two', `key_file = ${keys}`])
    for (let i = 0; i < 2; i++) assert.deepEqual([await status('one'), await status('two'), await status('aaa'), await status('bbb')], [401, 200, 401, 200])
    assert.doesNotMatch(gateway.log, /\b(one|two|aaa|bbb)\b/)
  })
})

describe('names, limits and times', () => {
  it('are those of the new file for who comes next', async () => {
    await start(['[gateway]', 'public_names = a.example', '[client]', 'channel_limit = 1', 'ping_interval = 20s'], { limit: null })
    const old = await Chatter.join(gateway)
    assert.equal(old.connected.ping, 20)
    await old.subscribe('a')
    await old.fails({ subscribe: { channel: 'b' } }, 106)
    await reload(['[gateway]', 'public_names = b.example', 'allowed_origins = https://c.example', 'max_connections = 77', '[client]', 'channel_limit = 2', 'ping_interval = 30s'])
    await old.subscribe('b')
    for (const [host, status] of [['a.example', 421], ['b.example', 404], ['b.example', 404]]) assert.equal((await request(gateway, '/nothing', { Host: host })).status, status)
    await (await Wire.open(gateway, { headers: { Origin: 'https://c.example' } })).leave()
    assert.equal((await Chatter.join(gateway)).connected.ping, 30)
    assert.equal((await gateway.metrics()).madang_max_connections, 77)
  })

  it('of a command that may be longer than before', async () => {
    await start(['[client]', 'command_size = 1KiB', '[rooms]'])
    const [one, other] = await pair()
    await one.subscribe('r')
    await other.subscribe('r')
    await reload(['[client]', 'command_size = 200KiB'])
    const data = '\\u00e9'.repeat(20000) + 'x'.repeat(60000)
    for (const from of [one, other]) {
      from.send(`{"id":99,"publish":{"channel":"r","data":"${data}"}}`)
      assert.equal((await from.reply(99)).value.error, undefined)
      for (const to of [one, other]) assert.equal((await to.pub('r')).data.length, 80000)
    }
  })

  it('do not grow connections past what the start made room for', async () => {
    await start(['[gateway]', 'max_connections = 100'], { limit: null })
    const log = await reload(['[gateway]', 'max_connections = 5000'])
    assert.match(log, /max_connections: only up to 100; more takes effect after a restart/)
    assert.equal((await gateway.metrics()).madang_max_connections, 100)
  })

  it('of the log too', async () => {
    await start(['[gateway]', 'log_level = info', '[api]', 'key = one'])
    await reload(['[gateway]', 'log_level = error', '[api]', 'key = two'])
    const before = gateway.log
    await write('[gateway]', 'log_level = error', '[api]', 'key = three')
    gateway.signal('SIGHUP')
    while ((await post(gateway, '/api/info', {}, { key: 'three' })).status !== 200) await new Promise((settle) => setTimeout(settle, 20))
    assert.equal(gateway.log, before)
  })

  it('that the command line or the environment say stay', async () => {
    await start(['[client]', 'ping_interval = 20s'], { args: ['--ping-interval', '15s'] })
    await reload(['[client]', 'ping_interval = 30s'])
    assert.equal((await Chatter.join(gateway)).connected.ping, 15)
  })
})

describe('what cannot be', () => {
  it('done without a restart is named, and the rest is done', async () => {
    await start(['[backplane]', 'max_rooms = 1000', '[client]', 'channel_limit = 1'])
    const log = await reload(['[backplane]', 'max_rooms = 2000', '[client]', 'channel_limit = 2'])
    assert.match(log, /\[backplane\] max_rooms: changed from 1000 to 2000; takes effect after a restart/)
    assert.match(log, /\[client\] channel_limit: changed from 1 to 2$/m)
    const one = await Chatter.join(gateway)
    await one.subscribe('a')
    await one.subscribe('b')
  })

  it('right is refused as a whole', async () => {
    await start(['[client]', 'channel_limit = 1', '[api]', 'key = one'])
    const one = await Chatter.join(gateway)
    await one.subscribe('a')
    for (const wrong of [['[client]', 'channel_limit = 0'], ['[nonsense]'], ['[api]', `key_file = ${folder}/absent`], ['[client]', 'pong_timeout = 2h']]) {
      const log = await reload(['[client]', 'channel_limit = 2', ...wrong], { refused: true })
      assert.match(log, /error configuration: /)
      await one.fails({ subscribe: { channel: 'b' } }, 106)
      assert.equal((await post(gateway, '/api/info', {}, { key: 'one' })).status, 200)
    }
    await reload(['[client]', 'channel_limit = 2', '[api]', 'key = one'])
    await one.subscribe('b')
  })

  it('read is refused too', async () => {
    await start([''])
    await rm(file)
    const log = await gateway.reload({ refused: true })
    assert.ok(log.includes(`${file}: No such file or directory`), log)
  })
})

describe('a hundred reloads', () => {
  it('under load lose nothing', async () => {
    await start(['[rooms]', 'history_size = 1000'], { hubs: 3 })
    const readers = []
    for (let i = 0; i < 6; i++) readers.push(await Chatter.join(gateway))
    for (const reader of readers) await reader.subscribe('r')
    const sender = await Chatter.join(gateway)
    for (let i = 0; i < 100; i++) {
      await write('[rooms]', `history_size = ${1000 + i}`, `[rooms n${i}]`)
      gateway.signal('SIGHUP')
      await Promise.all([sender.publish('r', i), sender.publish('r', i + 0.5)])
      if (i % 10 === 9) await gateway.said(`[rooms n${i}]: new`)
    }
    for (const reader of readers) for (let i = 0; i < 100; i++) assert.deepEqual([(await reader.pub('r')).data, (await reader.pub('r')).data], [i, i + 0.5])
  })
})
