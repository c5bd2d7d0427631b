// SPDX-License-Identifier: MIT
// Internal addresses: the API and the metrics are there and nowhere else, and the chat is not.
import assert from 'node:assert/strict'

import { Api, KEY, post } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { request } from '../lib/gateway.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { Wire } from '../lib/wire.mjs'

const inside = (gateway) => ({ host: gateway.host, port: gateway.internalPorts[0] })

const args = ['--api-key', KEY, '--internal-listen', '127.0.0.1:0']

suites('with internal addresses', { args }, (at) => {
  const statuses = async (paths, headers) => {
    const seen = {}
    for (const path of paths) {
      const [open, internal] = await Promise.all([request(at.gateway, path, headers), request(inside(at.gateway), path, headers)])
      seen[path] = [open.status, internal.status]
    }
    return seen
  }

  it('metrics are internal, health is everywhere, WebSocket and the page are public', async () => {
    assert.deepEqual(await statuses(['/metrics', '/healthz', '/readyz', '/connection/websocket', '/nothing']), {
      '/metrics': [404, 200],
      '/healthz': [200, 200],
      '/readyz': [200, 200],
      '/connection/websocket': [426, 404],
      '/nothing': [404, 404],
    })
    const { '/': page } = await statuses(['/'])
    assert.equal(page[1], 404) // the public one may have been built without the page
  })

  it('the API is internal, and what it publishes reaches the sessions of the public addresses', async () => {
    const c = await Chatter.join(at.gateway)
    await c.subscribe('x')
    await new Api(inside(at.gateway)).ok('publish', { channel: 'x', data: 'from inside' })
    assert.equal((await c.pub('x')).data, 'from inside')
    await c.leave()
    for (const path of ['/api', '/api/publish', '/api/nothing']) {
      const { status, body } = await post(at.gateway, path, { channel: 'x', data: 1 })
      assert.equal(status, 404, path)
      assert.match(body, /There is nothing here/)
      assert.equal((await post(at.gateway, path, {}, { key: '' })).status, 404, 'nobody learns more by trying keys')
    }
    assert.equal((await post(inside(at.gateway), '/api/publish', {}, { key: '' })).status, 401)
  })

  it('a handshake at an internal address is refused with 404', async () => {
    await assert.rejects(Wire.open(inside(at.gateway)), { status: 404 })
  })

  it('hosts and origins are looked at there as everywhere', async () => {
    const { '/metrics': foreign } = await statuses(['/metrics'], { Host: 'evil.example' })
    assert.deepEqual(foreign, [421, 421])
    const { '/healthz': page } = await statuses(['/healthz'], { Origin: 'http://evil.example' })
    assert.deepEqual(page, [403, 403])
  })
})

suite('without internal addresses', { args: ['--api-key', KEY] }, (at, join) => {
  it('everything is at the public one', async () => {
    assert.equal((await request(at.gateway, '/metrics')).status, 200)
    await new Api(at.gateway).ok('publish', { channel: 'x', data: 1 })
    const c = await join()
    await c.leave()
  })
})
