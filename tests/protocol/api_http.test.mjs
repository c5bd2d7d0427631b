// SPDX-License-Identifier: MIT
// The server API as HTTP: keys and what they are for, bodies of all kinds, connections that stay or go.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join as path } from 'node:path'
import { describe } from 'node:test'

import { Api, KEY, post } from '../lib/api.mjs'
import { request, startGateway } from '../lib/gateway.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { dial, readHead } from '../lib/wire.mjs'

const config = ['--config', new URL('rooms.ini', import.meta.url).pathname, '--api-key', KEY]

let nth = 0
const room = (namespace) => `${namespace ? `${namespace}:` : ''}http${++nth}`
const pause = (ms) => new Promise((settle) => setTimeout(settle, ms))

const headOf = (gateway, method, headers) => {
  const all = { Host: `${gateway.host}:${gateway.port}`, 'X-API-Key': KEY, ...headers }
  const lines = Object.entries(all).filter(([, value]) => value !== undefined)
  return [`POST /api/${method} HTTP/1.1`, ...lines.map(([k, v]) => `${k}: ${v}`), '', ''].join('\r\n')
}

// Sends bytes as they are: the head of the answer, and the text behind it until the connection ends.
async function raw(gateway, text) {
  const socket = await dial(gateway)
  const ended = new Promise((settle) => socket.once('close', settle))
  const answer = readHead(socket)
  socket.write(text)
  const head = await answer
  let body = head.rest.toString()
  socket.on('data', (more) => (body += more))
  await ended
  return { ...head, body }
}

// The status of the answer, which may come before the end of what was begun.
async function statusOf(gateway, text) {
  const socket = await dial(gateway)
  const answer = readHead(socket)
  socket.write(text)
  const { status } = await answer
  socket.destroy()
  return status
}

async function until(check) {
  while (!(await check())) await pause(50)
}

suites('server API over HTTP', { args: config }, (at) => {
  const call = (method, body, options) => post(at.gateway, `/api/${method}`, body, options)

  it('a key may come in either header, or in the address', async () => {
    for (const headers of [{ 'X-API-Key': KEY }, { 'x-api-key': KEY }, { Authorization: `apikey ${KEY}` }, { authorization: `ApiKey ${KEY}` }])
      assert.equal((await call('info', {}, { key: null, headers })).status, 200)
    assert.equal((await post(at.gateway, `/api/info?api_key=${KEY}`, {}, { key: null })).status, 200)
    assert.equal((await post(at.gateway, `/api/info?x=1&api_key=${KEY}`, {}, { key: null })).status, 200)
  })

  it('without the right key everything is 401, with nothing in it', async () => {
    const wrong = [
      {},
      { 'X-API-Key': '' },
      { 'X-API-Key': `${KEY}x` },
      { 'X-API-Key': KEY.slice(0, -1) },
      { 'X-API-Key': KEY.toUpperCase() },
      { Authorization: `Bearer ${KEY}` },
      { Authorization: KEY },
      { Authorization: 'apikey' },
      { 'X-API-Key': 'x'.repeat(3000) },
    ]
    for (const headers of wrong)
      for (const method of ['info', 'publish', 'nonsense', '']) {
        const { status, body } = await call(method, {}, { key: null, headers })
        assert.deepEqual([status, body], [401, ''], JSON.stringify(headers))
      }
    assert.equal((await post(at.gateway, '/api/info?api_key=wrong', {}, { key: null })).status, 401)
    assert.equal((await post(at.gateway, '/api', {}, { key: null })).status, 401)
  })

  it('other methods of HTTP are 405 and say which one is not', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD']) {
      const { status, headers } = await request(at.gateway, '/api/info', { 'X-API-Key': KEY, 'Content-Length': 0 }, method)
      assert.deepEqual([method, status, headers.allow], [method, 405, 'POST'])
    }
  })

  it('a method that is none is 404', async () => {
    for (const method of ['nonsense', 'PUBLISH', 'publish/', 'publish/more', 'map_publish'])
      assert.equal((await call(method, {})).status, 404, method)
    assert.equal((await request(at.gateway, '/apix', { 'X-API-Key': KEY })).status, 404)
  })

  it('a body needs a length that is true, and not too large', async () => {
    const g = at.gateway
    assert.equal((await raw(g, headOf(g, 'info', {}))).status, 411)
    assert.equal((await raw(g, `${headOf(g, 'info', { 'Transfer-Encoding': 'chunked' })}2\r\n{}\r\n0\r\n\r\n`)).status, 411)
    const both = headOf(g, 'info', { 'Transfer-Encoding': 'chunked', 'Content-Length': 2 })
    assert.equal((await raw(g, `${both}{}`)).status, 411)
    for (const length of ['-1', '-2', 'two', '2x', '0x2', '1e3', '99999999999999999999999'])
      assert.equal((await raw(g, `${headOf(g, 'info', { 'Content-Length': length })}{}`)).status, 400, length)
    assert.equal((await raw(g, headOf(g, 'info', { 'Content-Length': 0 }))).status, 400)
    for (const length of [1048577, 2 ** 31, 2 ** 32 + 2, 2 ** 53])
      assert.equal(await statusOf(g, headOf(g, 'info', { 'Content-Length': length })), 413)
    const largest = `{"channel":"${room()}","data":1}`.padEnd(1048576)
    assert.equal((await call('publish', largest)).status, 200)
    assert.equal((await call('publish', `${largest} `)).status, 413)
  })

  it('who is refused while the body is still being sent can read why', async () => {
    const large = Buffer.alloc(64 * 1024, ' ')
    for (const [method, key, status] of [['publish', KEY, 413], ['publish', 'wrong', 401], ['nonsense', KEY, 404]]) {
      const socket = await dial(at.gateway)
      let trouble
      socket.on('error', (error) => (trouble = error.code))
      const ended = new Promise((settle) => socket.once('end', settle).once('close', settle))
      socket.write(headOf(at.gateway, method, { 'X-API-Key': key, 'Content-Length': 32 * large.length }))
      await new Promise((settle) => socket.once('readable', settle)) // the answer is there, and nobody reads it yet
      for (let i = 0; i < 32 && !trouble; i++) await new Promise((settle) => socket.write(large, settle))
      assert.equal((await readHead(socket)).status, status)
      await ended
      assert.equal(trouble, undefined)
      socket.destroy()
    }
  })

  it('a body that is no JSON object is 400, and nothing of it is done', async () => {
    const r = room()
    for (const body of ['x', '[]', '1', '"text"', '{', '{}}', '{"a":1,}', `{"channel":"${r}","data":1}x`, '\u0000', '{"a":"\u0001"}', ' '])
      assert.equal((await call('publish', body)).status, 400, body)
    assert.equal((await call('publish', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).status, 400)
    assert.equal((await call('publish', `{"a":${'['.repeat(70)}${']'.repeat(70)}}`)).status, 400)
    const line = JSON.stringify({ method: 'publish', params: { channel: r, data: 1 } })
    for (const body of [`${line}\nnonsense`, `${line}\n[]`, '\n\n', ' '])
      assert.equal((await post(at.gateway, '/api', body)).status, 400)
    assert.equal((await new Api(at.gateway).ok('history', { channel: r })).offset, 0)
  })

  it('the older way: commands line by line, answered line by line', async () => {
    const r = room()
    const publish = (data) => JSON.stringify({ method: 'publish', params: { channel: r, data } })
    const one = await post(at.gateway, '/api', publish(1))
    assert.equal(JSON.parse(one.body).result.offset, 1)
    const history = JSON.stringify({ method: 'history', params: { channel: r, limit: 10 } })
    const lines = [publish(2), publish(3), '{"method":"nonsense"}', '{}', history, '{"method":"info"}', '{"method":5}']
    const { status, body } = await post(at.gateway, '/api/', `\n${lines.join('\r\n\n')}\n`)
    assert.equal(status, 200)
    const replies = body.trimEnd().split('\n').map((line) => JSON.parse(line))
    assert.equal(replies.length, lines.length)
    assert.deepEqual([replies[0].result.offset, replies[1].result.offset], [2, 3])
    assert.deepEqual(replies[4].result.publications.map(({ data }) => data), [1, 2, 3])
    for (const i of [2, 3, 6]) assert.equal(replies[i].error.code, 104)
    assert.equal(replies[5].result.nodes.length, 1)
  })

  const wrongs = [
    ['publish', { channel: 'nowhere:x', data: 1 }, 102, 404],
    ['rpc', { method: 'x' }, 104, 404],
    ['broadcast', { channels: Array(10001).fill('x'), data: 1 }, 106, 413],
    ['publish', { channel: 'x' }, 107, 400],
    ['presence', { channel: 'none:x' }, 108, 400],
    ['history', { channel: 'unrecoverable', limit: 1, since: { offset: 1, epoch: 'x' } }, 112, 416],
  ]
  it('errors can be told by the status', async () => {
    const headers = { 'X-Centrifugo-Error-Mode': 'transport' }
    for (const [method, params, code, status] of wrongs) {
      const answer = await call(method, params, { headers })
      assert.equal(answer.status, status, method)
      const error = JSON.parse(answer.body)
      assert.deepEqual(Object.keys(error), ['code', 'message'])
      assert.equal(error.code, code)
      const usual = await call(method, params, { headers: { 'X-Centrifugo-Error-Mode': 'other' } })
      assert.deepEqual([usual.status, JSON.parse(usual.body)], [200, { error }])
    }
    const fine = await call('publish', { channel: room(), data: 1 }, { headers })
    assert.deepEqual([fine.status, JSON.parse(fine.body).result.offset], [200, 1])
  })

  it('a connection carries one call after another, and other requests too', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const before = (await at.gateway.metrics()).madang_sockets_opened_total
    const r = room()
    for (let i = 1; i <= 20; i++) {
      const { body } = await call('publish', { channel: r, data: 'x'.repeat(i * 1000) }, { agent })
      assert.equal(JSON.parse(body).result.offset, i)
    }
    const { body } = await call('history', { channel: r, limit: -1 }, { agent })
    assert.equal(JSON.parse(body).result.publications.length, 20)
    assert.equal((await at.gateway.metrics()).madang_sockets_opened_total, before + 2) // with the second asking
    agent.destroy()
  })

  it('a body may come in small pieces, and its head too', async () => {
    const socket = await dial(at.gateway)
    const body = JSON.stringify({ channel: room(), data: 'in pieces' })
    const answer = readHead(socket)
    for (const byte of headOf(at.gateway, 'publish', { 'Content-Length': body.length }) + body) {
      socket.write(byte)
      if (byte === '\n' || byte === ',') await pause(2)
    }
    assert.equal((await answer).status, 200)
    socket.destroy()
  })

  it('who waits for 100 Continue gets it', async () => {
    const socket = await dial(at.gateway)
    const body = JSON.stringify({ channel: room(), data: 1 })
    const first = readHead(socket)
    socket.write(headOf(at.gateway, 'publish', { 'Content-Length': body.length, Expect: '100-continue' }))
    assert.equal((await first).status, 100)
    const second = readHead(socket)
    socket.write(body)
    assert.equal((await second).status, 200)
    socket.destroy()
  })

  it('hosts and pages that are not known are turned away first', async () => {
    assert.equal((await call('info', {}, { headers: { Host: 'evil.example' } })).status, 421)
    assert.equal((await call('info', {}, { headers: { Origin: 'http://evil.example' } })).status, 403)
    assert.equal((await call('info', {}, { headers: { Origin: `http://${at.gateway.host}:${at.gateway.port}` } })).status, 200)
  })

  it('who leaves before the answer hurts nobody, and what was begun is done', async () => {
    const channels = Array.from({ length: 2000 }, () => room())
    const body = JSON.stringify({ channels, data: 'left' })
    for (let i = 0; i < 20; i++) {
      const socket = await dial(at.gateway)
      const text = headOf(at.gateway, 'broadcast', { 'Content-Length': body.length }) + body
      await new Promise((settle) => socket.write(i % 4 ? text : text.slice(0, -1), settle))
      if (i % 2) socket.resetAndDestroy()
      else socket.destroy()
    }
    const said = async () => (await new Api(at.gateway).ok('history', { channel: channels.at(-1) })).offset
    await until(async () => (await said()) >= 1)
    await until(async () => (await at.gateway.metrics()).madang_api_calls_pending === 0)
    assert.ok((await said()) <= 15)
  })

  it('nor do bodies behind another request in the same packet, where none should be either', async () => {
    const host = `Host: ${at.gateway.host}:${at.gateway.port}\r\n`
    const first = `GET /healthz HTTP/1.1\r\n${host}\r\n`
    const second = ['GET', 'HEAD', 'POST'].map((method) => `${method} /healthz HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\n{}`)
    for (const more of [...second, `${second[0]}${second[0]}`, `${headOf(at.gateway, 'info', { 'Content-Length': 2 })}{}`]) {
      const socket = await dial(at.gateway)
      const ended = new Promise((settle) => socket.resume().once('close', settle))
      socket.write(first + more)
      await ended
      assert.equal((await request(at.gateway, '/healthz')).status, 200)
    }
  })

  it('requests sent behind one another do no harm', async () => {
    const body = JSON.stringify({ channel: room(), data: 1 })
    const one = headOf(at.gateway, 'publish', { 'Content-Length': body.length }) + body
    const socket = await dial(at.gateway)
    const answer = readHead(socket)
    socket.write(one.repeat(5))
    assert.equal((await answer).status, 200)
    socket.destroy()
    assert.equal((await call('info', {})).status, 200)
  })
})

describe('keys of the server API', () => {
  const folder = mkdtempSync(path(tmpdir(), 'keys-'))
  process.on('exit', () => rmSync(folder, { recursive: true }))
  const file = path(folder, 'keys')
  writeFileSync(file, '# comment\n\nreader read\nwriter publish,read\r\n  mod   moderate  \nall\nboss admin\n')

  suite('with scopes', { args: [...config, '--api-key-file', file] }, (at) => {
    const allowed = {
      reader: ['presence', 'presence_stats', 'history', 'channels'],
      writer: ['publish', 'broadcast', 'presence', 'presence_stats', 'history', 'channels'],
      mod: [
        'disconnect', 'subscribe', 'unsubscribe', 'refresh', 'history_remove',
        'kick', 'ban', 'unban', 'bans', 'mute', 'unmute', 'mutes', 'slow_mode', 'redact',
      ],
      boss: ['info'],
    }
    const every = [...new Set(Object.values(allowed).flat())]
    const params = { channel: 'scopes', channels: ['scopes'], data: 1, user: 'u', expired: true, offset: 1 }
    it('a key may do what it is for, and no more', async () => {
      for (const key of ['all', KEY]) for (const method of every) await new Api(at.gateway, { key }).ok(method, { ...params })
      for (const [key, may] of Object.entries(allowed))
        for (const method of every) {
          const api = new Api(at.gateway, { key })
          if (may.includes(method)) await api.ok(method, params)
          else await api.fails(method, params, 103)
        }
      const { status } = await post(at.gateway, '/api/publish', params, { key: 'reader', headers: { 'X-Centrifugo-Error-Mode': 'transport' } })
      assert.equal(status, 403)
      assert.equal((await post(at.gateway, '/api/info', {}, { key: '# comment' })).status, 401)
      assert.equal((await post(at.gateway, '/api/info', {}, { key: 'read' })).status, 401)
    })
    it('the commands of a batch are asked one by one', async () => {
      const api = new Api(at.gateway, { key: 'reader' })
      const { replies } = await api.ok('batch', { commands: [{ publish: params }, { presence_stats: params }, { broadcast: params }] })
      assert.deepEqual(replies.map((reply) => reply.error?.code), [103, undefined, 103])
      const lines = ['publish', 'history'].map((method) => JSON.stringify({ method, params })).join('\n')
      const { body } = await post(at.gateway, '/api', lines, { key: 'reader' })
      assert.deepEqual(body.trimEnd().split('\n').map((line) => JSON.parse(line).error?.code), [103, undefined])
    })
  })

  it('a file of keys that cannot be read stops the start, and its text is not told', async () => {
    writeFileSync(path(folder, 'wrong'), 'secret-one nonsense-that-may-be-a-key\n')
    for (const [name, says] of [['wrong', /wrong:1: an unknown scope/], ['missing', /No such file/]])
      await assert.rejects(startGateway(['--api-key-file', path(folder, name)]), (error) => {
        assert.match(error.message, says)
        assert.doesNotMatch(error.message, /secret-one|nonsense/)
        return true
      })
  })

  suite('none', {}, (at) => {
    it('nobody is let in', async () => {
      for (const key of [KEY, '', null, 'x']) assert.equal((await post(at.gateway, '/api/info', {}, { key })).status, 401)
    })
  })
})

suite('a server API that is asked too much', { args: [...config, '--api-calls', '3', '--hub-credits', '300'], hubs: 1 }, (at) => {
  it('answers 503 and 111, and goes on', async () => {
    const channels = Array.from({ length: 3000 }, () => room())
    const answers = await Promise.all(Array.from({ length: 40 }, () => post(at.gateway, '/api/broadcast', { channels, data: 1 })))
    const refused = answers.filter(({ status }) => status === 503)
    const served = answers.filter(({ status }) => status === 200)
    assert.equal(refused.length + served.length, 40)
    assert.ok(refused.length > 0 && served.length >= 3, `${refused.length} refused`)
    for (const { body } of refused) assert.equal(JSON.parse(body).error.code, 111)
    for (const { body } of served) assert.equal(JSON.parse(body).result.responses.length, 3000)
    const { offset } = await new Api(at.gateway).ok('history', { channel: channels[0] })
    assert.equal(offset, served.length)
    assert.equal((await at.gateway.metrics()).madang_api_calls_refused_total, refused.length)
  })
})

suite('a server API with little memory', { args: [...config, '--api-bytes', '64KiB'], hubs: 1 }, (at) => {
  it('keeps a place for each body that was announced, and answers 503 when there is none', async () => {
    const body = JSON.stringify({ channel: room(), data: 'x'.repeat(40_000) })
    const announce = async () => {
      const socket = await dial(at.gateway)
      socket.write(headOf(at.gateway, 'publish', { 'Content-Length': body.length, Expect: '100-continue' }))
      return { socket, status: (await readHead(socket)).status }
    }
    const [first, second] = [await announce(), await announce()]
    assert.deepEqual([first.status, second.status], [100, 503])
    const answer = readHead(first.socket)
    first.socket.write(body)
    assert.equal((await answer).status, 200)
    const third = await announce()
    assert.equal(third.status, 100)
    third.socket.destroy()
    await until(async () => (await at.gateway.metrics()).madang_api_bytes === 0) // no place is kept for a body that will not come
    for (const { socket } of [first, second]) socket.destroy()
  })
})

suite('a server API in a hurry', { args: [...config, '--api-timeout', '2s', '--rooms-history-bytes', '16MiB'], hubs: 1 }, (at) => {
  it('does not wait for a body that drips', async () => {
    const socket = await dial(at.gateway)
    const ended = new Promise((settle) => socket.once('close', settle))
    const answer = readHead(socket)
    socket.write(`${headOf(at.gateway, 'publish', { 'Content-Length': 1000 })}{`)
    const drip = setInterval(() => socket.destroyed || socket.write(' '), 100) // 100 s for all of it, longer than a test may take
    assert.equal((await answer).status, 408)
    await ended
    clearInterval(drip)
  })

  it('does not wait for a body that never comes, nor for who does not take its answer', async () => {
    const r = room()
    for (let i = 0; i < 12; i++) await new Api(at.gateway).ok('publish', { channel: r, data: 'x'.repeat(1000000) })
    const sockets = await Promise.all(Array.from({ length: 10 }, () => dial(at.gateway)))
    const opened = async () => (await at.gateway.metrics()).madang_handshakes_pending
    const body = JSON.stringify({ channel: r, limit: -1 })
    sockets.forEach((socket, i) => {
      socket.pause()
      socket.write(headOf(at.gateway, 'history', { 'Content-Length': body.length }) + (i % 2 ? body : ''))
    })
    const closed = async () => {
      const m = await at.gateway.metrics()
      return m.madang_sockets_opened_total - m.madang_sockets_closed_total
    }
    await until(async () => (await closed()) <= 1)
    assert.equal(await opened(), 0)
    for (const socket of sockets) socket.destroy()
  })

})

suite('errors and answers', { args: [...config, '--api-error-mode', 'transport', '--rooms-history-bytes', '16MiB'], hubs: 1 }, (at) => {
  it('gives a large answer to who takes it', async () => {
    const r = room()
    for (let i = 0; i < 8; i++) await new Api(at.gateway).ok('publish', { channel: r, data: `${i}`.repeat(1000000) })
    const { publications } = await new Api(at.gateway).ok('history', { channel: r, limit: -1 })
    assert.deepEqual(publications.map(({ data }) => data.length), Array(8).fill(1000000))
  })

  it('tells errors by the status, as configured', async () => {
    assert.equal((await post(at.gateway, '/api/publish', { channel: 'nowhere:x', data: 1 })).status, 404)
  })
})
