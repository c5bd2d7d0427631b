// SPDX-License-Identifier: MIT
// Frames that are wrong or never end: each is answered as docs/PROTOCOL.md says, and nobody else waits for it.
import { attack, attacks, torture } from './siege.mjs'

attacks(() => {
  attack('a message in single bytes, without end: 1009', { attack: 'fragmented', answers: { 1009: 3 } })
  attack('commands and frames that are too large: 1009', { attack: 'oversized', answers: { 1009: 20 } })
  attack('messages of which half comes: 3012 after the next ping', {
    attack: 'halfSent',
    rounds: torture ? 9 : 2,
    how: { connections: 200 },
    args: ['--ping-interval', '1s', '--pong-timeout', '500ms'],
    answers: { 3012: 400 },
  })
  attack('frames without a mask: taken as they are', { attack: 'unmasked', answers: { taken: 20 } })
  attack('bytes that are no UTF-8: 3501', { attack: 'invalidText', answers: { 3501: 20 } })
  attack('JSON deeper than 64 levels: 3501', { attack: 'deep', answers: { 3501: 20 } })
})
