// SPDX-License-Identifier: MIT
//
// Three gateways behind the proxies of docs/OPERATIONS.md, which know nothing of sessions: official
// clients reach all of them, and go on when one is killed.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import WebSocket from 'ws'

import { Cluster } from '../lib/cluster.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { People } from '../lib/people.mjs'
import { freePort } from '../lib/ports.mjs'
import { Proxy, kinds, missing } from '../lib/proxies.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

const SITE = 'chat.example.org'
const ARGS = ['--public-names', SITE, '--trusted-proxies', '127.0.0.1', '--rooms-history-size', '20000', '--rooms-history-bytes', '16777216']
const EACH = 3 // clients through a proxy, for each gateway

// What starts a gateway with all the addresses that the examples ask for, the same ones each time.
function beginner() {
  const others = new Map()
  return async (args, how) => {
    if (!others.has(how.port)) others.set(how.port, { proxied: await freePort(), inside: await freePort() })
    const { proxied, inside } = others.get(how.port)
    return startGateway([...args, '--internal-listen', `127.0.0.1:${inside}`], { ...how, listen: `proxy:127.0.0.1:${proxied} 127.0.0.1:${how.port}` })
  }
}

// How a browser opens a connection for a page that came through the proxy.
const browser = ({ tls }) =>
  class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { headers: { Host: SITE }, origin: `https://${SITE}`, ...tls })
    }
  }

for (const [name, kind] of Object.entries(kinds)) {
  describe(`three gateways behind ${name}`, { skip: missing(kind) }, () => {
    it('are all reached; when one is killed, clients go on', async () => {
      const cluster = await Cluster.start(await Redis.start(), { args: ARGS, begin: beginner() })
      const sessions = () => Promise.all(cluster.gateways.map(async (one) => (await one.metrics()).madang_sessions))
      let proxy, people
      try {
        proxy = await Proxy.start(kind, cluster.gateways)
        const websocket = browser(proxy)
        people = await People.join(Array.from({ length: 3 * EACH }, (_, i) => ({ url: proxy.url, room: `room ${i % 2}`, websocket })))
        const spread = await sessions()
        assert.ok(spread.every((n) => n > 0), `${spread}`)
        people.run()
        await people.moved()
        await cluster.gateways[1].kill()
        await people.moved()
        await cluster.again(1)
        await cluster.well()
        const comers = []
        // It takes part again: whoever comes now gets there, as it has the fewest.
        while ((await sessions())[1] === 0) {
          comers.push(await People.join([{ url: proxy.url, room: 'room of late comers', websocket }]))
          await pause(50)
        }
        for (const one of comers) one.leave()
        await people.moved()
        await people.stop()
        await people.compare(cluster)
        assert.equal(people.all.filter((one) => one.arrivals > 1).length, spread[1], 'only who was on it had to come again')
      } finally {
        people?.leave()
        await proxy?.stop()
        await cluster.stop()
      }
    })
  })
}
