// SPDX-License-Identifier: MIT
// A gateway behind the proxies of docs/OPERATIONS.md, as its examples set them up.
import assert from 'node:assert/strict'
import { after, before, describe } from 'node:test'

import { Chatter } from '../lib/chatter.mjs'
import { request, startGateway } from '../lib/gateway.mjs'
import { Proxy, kinds, missing } from '../lib/proxies.mjs'
import { it } from '../lib/suite.mjs'
import { Wire } from '../lib/wire.mjs'

const SITE = 'chat.example.org'

for (const [name, kind] of Object.entries(kinds)) {
  describe(name, { skip: missing(kind) }, () => {
    let gateway, proxy
    const at = () => ({ host: proxy.host, port: proxy.port, tls: proxy.tls })
    before(async () => {
      const options = ['--public-names', SITE, '--trusted-proxies', '127.0.0.1', '--max-connections-per-address', '2', '--internal-listen', '127.0.0.1:0']
      gateway = await startGateway(options, { listen: 'proxy:127.0.0.1:0 127.0.0.1:0' })
      proxy = await Proxy.start(kind, [gateway])
    })
    after(async () => {
      await proxy?.stop()
      await gateway?.stop()
    })

    // As a browser opens it for a page, from an address of this machine.
    const open = (from, headers) => Wire.open({ ...at(), from }, { headers: { Host: SITE, Origin: `https://${SITE}`, ...headers } })
    const refused = (status, from, headers) => assert.rejects(open(from, headers), { status })

    it('passes chat of a page that was opened over https', async () => {
      const [a, b] = [new Chatter(await open('127.0.0.1'), true), new Chatter(await open('127.0.0.1'), true)]
      await Promise.all([a.ok({ connect: {} }), b.ok({ connect: {} })])
      await a.subscribe('x')
      await b.publish('x', 'z'.repeat(10_000))
      assert.equal((await a.pub('x')).data.length, 10_000)
      await Promise.all([a.leave(), b.leave()])
    })

    it('passes plain requests, and refuses pages of others', async () => {
      assert.equal((await request(at(), '/healthz', { Host: SITE })).status, 200)
      assert.equal((await request(at(), '/metrics', { Host: SITE })).status, 404)
      await refused(403, '127.0.0.1', { Origin: 'https://evil.example' })
    })

    // 127.0.0.1 is trusted, so from there the header stands for a proxy further out.
    it('says who the client is', async () => {
      const client = { 'X-Forwarded-For': '192.0.2.1' }
      const two = [await open('127.0.0.1', client), await open('127.0.0.1', client)]
      await refused(429, '127.0.0.1', client)
      // 127.0.0.9 is a client like any other, which may say what it wants.
      const liar = await open('127.0.0.9', client)
      await Promise.all([...two, liar].map((wire) => wire.leave()))
    })
  })
}
