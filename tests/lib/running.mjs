// SPDX-License-Identifier: MIT
//
// What the test that runs now has started: each test has its own, others may run beside it. What a failed
// test leaves behind must not keep its file from ending, nor outlive it.

import { AsyncLocalStorage } from 'node:async_hooks'

const of = new AsyncLocalStorage()
const shared = { clients: new Set(), gateways: [] } // of all tests of a file: started before them

const mine = () => of.getStore() ?? shared

export const running = (body) => of.run({ clients: new Set(), gateways: [] }, body)

// Clients that come back by themselves: they are told to go when the test is over.
export function returns(client) {
  mine().clients.add(client)
  return client
}

// Tells those of the test that calls this to go, whoever calls what it returns.
export function dismisser() {
  const { clients } = mine()
  return () => {
    for (const client of clients) client.disconnect()
    clients.clear()
  }
}

export const started = (gateway) => mine().gateways.push(gateway)

const TOLD = 6 // lines of each

// The last that its gateways had to complain of, for whoever reads why it failed.
export function complaints() {
  const all = [...new Set([...shared.gateways, ...mine().gateways])]
  return all.flatMap(({ log }) => log.split('\n').filter((line) => / (warn|error) /.test(line)).slice(-TOLD))
}

const children = new Set()

// A child process that does not outlive this one.
export function withUs(child) {
  children.add(child)
  child.once('close', () => children.delete(child))
  return child
}

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

// Their command lines.
export const stillHere = () => [...children].map((child) => child.spawnargs.join(' '))
