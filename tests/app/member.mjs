// SPDX-License-Identifier: MIT
//
// The front end of the application without its looks: somebody who has logged in, the rooms that they are in
// and what was said there. It runs in a browser and in Node alike; the official client is handed in.
// `changed` is called whenever there is something new to see.

// The back end said no; no use asking again.
export class Refused extends Error {
  constructor(status, words) {
    super(words)
    this.status = status
  }
}

// Puts a publication where it belongs: a message, or the word of a moderator about an earlier one.
function take(messages, { data, offset, info }) {
  if (data.type !== 'redacted') {
    messages.push({ offset, text: data.text, from: info?.connInfo?.name ?? null })
  } else if (data.offset === undefined) {
    messages.push({ offset, text: null, from: null }) // it stands where the message stood
  } else {
    const message = messages.find((one) => one.offset === data.offset)
    if (message) Object.assign(message, { text: null, from: null })
  }
}

export class Member {
  // `tools`: { Centrifuge, UnauthorizedError } of the official client, and options for it.
  static async login(backend, name, tools) {
    const member = new Member(backend, tools)
    const { session, user } = await member.ask('login', { name })
    member.session = session
    member.me = user
    return member
  }

  constructor(backend, { Centrifuge, UnauthorizedError = Error, ...options }) {
    this.backend = backend
    this.tools = { Centrifuge, UnauthorizedError, options }
    this.rooms = new Map() // room → { subscription, messages, people, state, recovered }
    this.notices = [] // what came to this member alone
    this.state = 'disconnected'
    this.ending = null // { code, reason } of the last disconnect
    this.changed = () => {}
  }

  // One request to the back end.
  async ask(method, body = {}) {
    const answer = await fetch(`${this.backend}/api/${method}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(this.session && { Authorization: `Bearer ${this.session}` }) },
      body: JSON.stringify(body),
    })
    const value = await answer.json()
    if (!answer.ok) throw new Refused(answer.status, value.error)
    return value
  }

  // A token, as the client asks for one whenever it needs it: for the first time, when one is about to
  // expire, and when the gateway said that one is no good any more.
  async #token(method, body) {
    try {
      return await this.ask(method, body)
    } catch (error) {
      if (error instanceof Refused) throw new this.tools.UnauthorizedError(error.message)
      throw error
    }
  }

  async connect() {
    const { endpoint, token } = await this.ask('connection-token')
    const getToken = async () => (await this.#token('connection-token')).token
    this.client = new this.tools.Centrifuge(endpoint, { token, getToken, ...this.tools.options })
    this.client.on('state', ({ newState }) => this.#tell(() => (this.state = newState)))
    this.client.on('disconnected', ({ code, reason }) => this.#tell(() => (this.ending = { code, reason })))
    this.client.on('publication', ({ data }) => this.#tell(() => this.notices.push(data)))
    this.client.connect()
    await this.client.ready()
  }

  #tell(change) {
    change()
    this.changed()
  }

  // Resolves when the room has been entered, rejects when it cannot be.
  async enter(room) {
    const isPrivate = room.startsWith('$')
    const getToken = async () => (await this.#token('subscription-token', { room })).token
    const subscription = this.client.newSubscription(room, { joinLeave: true, ...(isPrivate && { getToken }) })
    const entry = { subscription, messages: [], people: new Map(), state: 'subscribing', recovered: [] }
    this.rooms.set(room, entry)
    this.#listen(entry)
    subscription.subscribe()
    await subscription.ready()
    await this.#meet(entry)
  }

  #listen(entry) {
    const { subscription } = entry
    subscription.on('publication', (publication) => this.#tell(() => take(entry.messages, publication)))
    subscription.on('join', ({ info }) => this.#tell(() => entry.people.set(info.client, info.connInfo?.name)))
    subscription.on('leave', ({ info }) => this.#tell(() => entry.people.delete(info.client)))
    subscription.on('state', ({ newState }) => this.#tell(() => (entry.state = newState)))
    subscription.on('unsubscribed', ({ code, reason }) => this.#tell(() => (entry.ending = { code, reason })))
    subscription.on('subscribed', ({ wasRecovering, recovered }) =>
      this.#tell(() => wasRecovering && entry.recovered.push(recovered)),
    )
  }

  // Who is here, and what was said before we came.
  async #meet(entry) {
    const [{ clients }, { publications }] = await Promise.all([
      entry.subscription.presence(),
      entry.subscription.history({ limit: 100 }),
    ])
    this.#tell(() => {
      for (const { client, connInfo } of Object.values(clients)) entry.people.set(client, connInfo?.name)
      const since = entry.messages
      entry.messages = []
      for (const publication of publications) take(entry.messages, publication)
      const known = new Set(entry.messages.map(({ offset }) => offset))
      entry.messages.push(...since.filter(({ offset }) => !known.has(offset)))
    })
  }

  // Told only once the gateway has it; `cid` makes a repeat after a lost answer harmless.
  async say(room, text) {
    const cid = `${this.me.id}-${Date.now()}-${Math.random()}`
    await this.rooms.get(room).subscription.publish({ text, cid })
  }

  leave(room) {
    const { subscription } = this.rooms.get(room)
    subscription.unsubscribe()
    this.client.removeSubscription(subscription)
    this.rooms.delete(room)
  }

  logout() {
    this.client?.disconnect()
  }
}
