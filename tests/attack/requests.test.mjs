// SPDX-License-Identifier: MIT
// Requests that never end, and requests from where they may not come: each is answered as docs/OPERATIONS.md and
// docs/API.md say, and nobody else waits for it.
import { attack, attacks, torture } from './siege.mjs'
import { KEY } from '../lib/api.mjs'

const api = ['--api-key', KEY]

attacks(() => {
  attack('heads that come line by line: cut off', { attack: 'slowHeaders', rounds: 1, how: { connections: 300 }, answers: { cut: 300 } })
  attack('bodies that come byte by byte: 408', {
    attack: 'slowBodies',
    rounds: torture ? 9 : 2,
    how: { connections: 300, key: KEY },
    args: [...api, '--api-timeout', '1s'],
    answers: { 408: 600 },
  })
  attack('pages of other sites: 403', { attack: 'crossSite', args: api, answers: { 403: 20 } })
  attack('a name that was made to mean this machine: 421', { attack: 'rebinding', args: api, answers: { 421: 20 } })
  attack('the server API without its key: 401', { attack: 'withoutKey', args: api, answers: { 401: 20 } })
})
