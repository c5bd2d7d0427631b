// SPDX-License-Identifier: MIT
//
// The looks of the application: one room at a time, an invitation is followed at once.

/* global Centrifuge, document, location */

import { Member } from './member.mjs'

const at = (id) => document.getElementById(id)
let member
let room

// The fields of a form that was sent, which is emptied; whatever fails is shown.
function onSend(id, work) {
  at(id).addEventListener('submit', async (event) => {
    event.preventDefault()
    const fields = Object.fromEntries(new FormData(event.target))
    event.target.reset()
    at('trouble').textContent = ''
    await work(fields).catch((error) => (at('trouble').textContent = error.message))
  })
}

function show() {
  const entry = member.rooms.get(room)
  at('state').textContent = member.ending && member.state === 'disconnected' ? member.ending.reason : member.state
  at('room').textContent = room ?? ''
  at('people').textContent = [...new Set(entry?.people.values())].sort().join(', ')
  const lines = (entry?.messages ?? []).map(({ from, text }) => Object.assign(document.createElement('li'), { textContent: text === null ? '(removed)' : `${from ?? 'news'}: ${text}` }))
  at('messages').replaceChildren(...lines)
  at('notices').textContent = member.notices.map(({ type, by, room }) => `${type} by ${by} to ${room}`).join('; ')
}

async function go(name) {
  if (room) member.leave(room)
  room = name
  await member.enter(name)
  show()
}

let followed = 0
async function followInvitations() {
  while (followed < member.notices.length) {
    const notice = member.notices[followed++]
    if (notice.type === 'invitation') await go(notice.room)
  }
}

onSend('login', async ({ name }) => {
  member = await Member.login(location.origin, name, { Centrifuge })
  member.changed = () => {
    show()
    followInvitations().catch((error) => (at('trouble').textContent = error.message))
  }
  await member.connect()
  at('login').hidden = true
  document.querySelector('main').hidden = false
  at('me').textContent = `${member.me.name} (${member.me.id})`
  await go('open:hall')
})
onSend('open', async ({ name }) => go((await member.ask('open', { name })).room))
onSend('invite', ({ user }) => member.ask('invite', { room, user }))
onSend('say', ({ text }) => member.say(room, text))
