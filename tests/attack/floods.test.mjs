// SPDX-License-Identifier: MIT
// What is allowed, too often: answered 111, then 3013, as docs/OPERATIONS.md says; nobody else waits for it.
import { attack, attacks } from './siege.mjs'
import { secret, token } from '../lib/token.mjs'

const guests = { auth: 'guest', allowed: ['cut off by us'] }

attacks(() => {
  attack('a flood of publishes: 111, then 3013', {
    ...guests,
    attack: 'publishes',
    args: ['--max-stream-bytes', '1MiB', '--rooms-history-bytes', '64KiB'], // streams are kept, and bounded
    answers: { 111: 6, 3013: 6 },
  })
  attack('a flood of subscribes: 106 and 111, then 3013', { ...guests, attack: 'subscribes', answers: { 106: 6, 111: 6, 3013: 6 } })
  attack('a flood of bytes: 111, then 3013', { ...guests, attack: 'bytes', answers: { 108: 6, 111: 6, 3013: 6 } })
  attack('a flood of handshakes from one address: 429', {
    auth: 'guest',
    attack: 'handshakes',
    args: ['--trusted-proxies', '127.66.0.1', '--limits-address-connects', '10'],
    answers: { 101: 100, 429: 100 },
  })

  const rooms = ['--rooms-allow-subscribe-for-client', 'on', '--rooms-allow-publish-for-client', 'on', '--rooms-history-size', '100', '--rooms-history-ttl', '1h']
  attack('tokens that are huge: 3500, or 1009 over the limit of a command', {
    auth: 'jwt',
    attack: 'token',
    args: ['--jwt-hmac-secret', secret, ...rooms],
    connects: Array.from({ length: 40 }, (_, i) => ({ token: token({ sub: `user-${i}` }) })),
    answers: { 3500: 20, 1009: 20 },
  })
})
