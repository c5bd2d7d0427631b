// SPDX-License-Identifier: MIT
//
// The back end of a small application: a plain HTTP server that knows people, who may enter which
// private room and who looks after order. It hands out connection and subscription tokens, and publishes
// and moderates through the server API of the gateway. Nothing of it knows how madang is built.
//
//   POST /api/login {name}                   { session, user: {id, name, staff} }
//   POST /api/connection-token               { token, endpoint }      with `Authorization: Bearer SESSION`,
//   POST /api/subscription-token {room}      { token }                as all that follow
//   POST /api/open {name}                    { room }                 a private room; whoever opens it is its host
//   POST /api/invite|revoke {room, user}     {}                       the host's
//   POST /api/announce {text, key}           {}                       into news, which nobody else may write to
//   POST /api/moderate {action, …}           {}                       of staff: see ACTIONS
//
// A refusal is 401 (who are you?), 403 (not for you) or 400, with { error }.

import { createHmac, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const BODY_MAX = 64 * 1024

class Refusal extends Error {
  constructor(status, words) {
    super(words)
    this.status = status
  }
}

const refuseUnless = (right, status, words) => {
  if (!right) throw new Refusal(status, words)
}

// ---- tokens ------------------------------------------------------------------------------------

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

export function sign(claims, secret) {
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

// ---- what is served to browsers ------------------------------------------------------------------

const client = createRequire(import.meta.url).resolve('centrifuge').replace(/build\/index\.\w+$/, 'dist/centrifuge.js')
const here = (name) => new URL(name, import.meta.url)

const files = {
  '/': [here('page.html'), 'text/html; charset=utf-8'],
  '/page.mjs': [here('page.mjs'), 'text/javascript'],
  '/member.mjs': [here('member.mjs'), 'text/javascript'],
  '/centrifuge.js': [client, 'text/javascript'],
}

// ---- the server ----------------------------------------------------------------------------------

async function readJson(request) {
  let text = ''
  for await (const more of request) {
    text += more
    refuseUnless(text.length <= BODY_MAX, 413, 'too much')
  }
  try {
    return JSON.parse(text || '{}')
  } catch {
    throw new Refusal(400, 'no JSON')
  }
}

// What staff may do, as calls of the server API. The gateway holds to it across reconnects, whatever tokens
// are still about.
const ACTIONS = {
  kick: (backend, { room, user, reason }) => backend.api('kick', { channel: room, user, reason }),
  mute: (backend, { room, user, reason, seconds }) => backend.api('mute', { channel: room, user, reason, ttl: seconds }),
  unmute: (backend, { room, user }) => backend.api('unmute', { channel: room, user }),
  slow: (backend, { room, seconds }) => backend.api('slow_mode', { channel: room, interval_ms: seconds * 1000 }),
  redact: (backend, { room, offset, reason }) => backend.api('redact', { channel: room, offset, reason }),
  // from one room, or from the application
  ban: (backend, { room, user, reason }) => (room ? backend.api('ban', { channel: room, user, reason }) : backend.ban(user, reason)),
  unban: (backend, { room, user }) => (room ? backend.api('unban', { channel: room, user }) : backend.unban(user)),
}

export class Backend {
  // `gateway` may come later (see `serves`): who starts both knows their ports only then.
  static async start({ secret, key, staff = [], port = 0, connectionLife = 60, subscriptionLife = 60 }) {
    const backend = new Backend({ secret, key, staff, connectionLife, subscriptionLife })
    await new Promise((settle) => backend.server.listen(port, '127.0.0.1', settle))
    return backend
  }

  constructor(options) {
    this.options = options
    this.sessions = new Map() // bearer → user
    this.users = new Map() // id → { id, name, staff, banned }
    this.rooms = new Map() // room → { host, members: Set of ids }
    this.issued = { connection: 0, subscription: 0 }
    this.server = createServer((request, response) => this.#serve(request, response))
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}`
  }

  serves(gateway) {
    this.gateway = gateway
  }

  async stop() {
    this.server.closeAllConnections()
    await new Promise((settle) => this.server.close(settle))
  }

  async #serve(request, response) {
    const path = request.url.split('?')[0]
    try {
      if (path in files) {
        const [file, type] = files[path]
        response.writeHead(200, { 'Content-Type': type }).end(await readFile(file))
      } else {
        const method = METHODS[path]
        refuseUnless(method && request.method === 'POST', 404, 'there is nothing here')
        const body = await readJson(request)
        const answer = await method(this, body, path === '/api/login' ? null : this.#user(request))
        response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer ?? {}))
      }
    } catch (error) {
      const status = error.status ?? 500
      if (status === 500) console.error(error)
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error: error.message }))
    }
  }

  #user(request) {
    const [, bearer] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? []
    const user = this.sessions.get(bearer)
    refuseUnless(user && !user.banned, 401, 'log in first')
    return user
  }

  // One call of the server API; its result.
  async api(method, params) {
    const answer = await fetch(`${this.gateway.api}/${method}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-API-Key': this.options.key },
      body: JSON.stringify(params),
    })
    if (!answer.ok) throw new Error(`${method}: ${answer.status} ${await answer.text()}`)
    const { result, error } = await answer.json()
    if (error) throw new Refusal(400, `${method}: ${error.code} ${error.message}`)
    return result
  }

  token(claims, life) {
    const now = Math.floor(Date.now() / 1000)
    return sign({ iat: now, exp: now + life, ...claims }, this.options.secret)
  }

  // ---- what is asked for

  login({ name }) {
    refuseUnless(typeof name === 'string' && /^[\p{L}\p{N}]{1,40}$/u.test(name), 400, 'a name has letters and digits')
    let user = [...this.users.values()].find((one) => one.name === name)
    if (!user) {
      user = { id: `u${this.users.size + 1}`, name, staff: this.options.staff.includes(name), banned: false }
      this.users.set(user.id, user)
    }
    refuseUnless(!user.banned, 403, 'you are banned')
    const session = randomUUID()
    this.sessions.set(session, user)
    return { session, user: { id: user.id, name: user.name, staff: user.staff } }
  }

  connectionToken(user) {
    this.issued.connection++
    const token = this.token({ sub: user.id, info: { name: user.name } }, this.options.connectionLife)
    return { token, endpoint: this.gateway.endpoint }
  }

  subscriptionToken(user, room) {
    refuseUnless(this.rooms.get(room)?.members.has(user.id), 403, 'you were not invited')
    this.issued.subscription++
    return { token: this.token({ sub: user.id, channel: room }, this.options.subscriptionLife) }
  }

  open(user, name) {
    const room = `$team:${name}`
    refuseUnless(typeof name === 'string' && /^\w{1,40}$/.test(name) && !this.rooms.has(room), 400, 'that name will not do')
    this.rooms.set(room, { host: user.id, members: new Set([user.id]) })
    return { room }
  }

  hosted(user, room) {
    const found = this.rooms.get(room)
    refuseUnless(found && found.host === user.id, 403, 'it is not your room')
    return found
  }

  // The guest is told in the room that is the guest's own.
  async invite(by, room, id) {
    const { members } = this.hosted(by, room)
    refuseUnless(this.users.has(id), 400, 'there is no such user')
    members.add(id)
    await this.api('publish', { channel: `own:#${id}`, data: { type: 'invitation', room, by: by.name } })
  }

  async revoke(room, id) {
    this.rooms.get(room)?.members.delete(id)
    await this.api('unsubscribe', { user: id, channel: room })
  }

  known(id) {
    const user = this.users.get(id)
    refuseUnless(user, 400, 'there is no such user')
    return user
  }

  async ban(id, reason) {
    this.known(id).banned = true
    await this.api('ban', { user: id, reason })
  }

  async unban(id) {
    this.known(id).banned = false
    await this.api('unban', { user: id })
  }

  async announce(user, { text, key }) {
    refuseUnless(user.staff, 403, 'only staff writes news')
    await this.api('publish', { channel: 'news:all', data: { text }, idempotency_key: key })
  }

  async moderate(user, { action, ...what }) {
    refuseUnless(user.staff, 403, 'you are not of the staff')
    refuseUnless(action in ACTIONS, 400, 'there is no such action')
    await ACTIONS[action](this, what)
  }
}

const METHODS = {
  '/api/login': (backend, body) => backend.login(body),
  '/api/connection-token': (backend, body, user) => backend.connectionToken(user),
  '/api/subscription-token': (backend, { room }, user) => backend.subscriptionToken(user, room),
  '/api/open': (backend, { name }, user) => backend.open(user, name),
  '/api/invite': (backend, { room, user: id }, user) => backend.invite(user, room, id),
  '/api/revoke': (backend, { room, user: id }, user) => (backend.hosted(user, room), backend.revoke(room, id)),
  '/api/announce': (backend, body, user) => backend.announce(user, body),
  '/api/moderate': (backend, body, user) => backend.moderate(user, body),
}
