// SPDX-License-Identifier: MIT
//
// A program that is run to its end, and one that is made to stand still.

import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

import { withUs } from './running.mjs'

// { code, out, err }. It has no environment but the path, and what is given.
export function run(program, words, { env = {}, input = '', cwd } = {}) {
  const child = withUs(spawn(program, words, { cwd, env: { PATH: process.env.PATH, ...env } }))
  const said = { out: '', err: '' }
  child.stdout.on('data', (text) => (said.out += text))
  child.stderr.on('data', (text) => (said.err += text))
  child.stdin.on('error', () => {}) // it may not read what it is not asked to
  child.stdin.end(input)
  return new Promise((settle, fail) => {
    child.on('error', fail)
    child.on('close', (code) => settle({ code, ...said }))
  })
}

// Resolves when all threads of the process stand still, until SIGCONT. The signal alone is not enough: one
// thread is woken for it, and the others go on until that one has run, which may be late.
export async function freeze(child) {
  child.kill('SIGSTOP')
  const threads = `/proc/${child.pid}/task`
  const stopped = (id) => {
    try {
      return / T /.test(readFileSync(`${threads}/${id}/stat`, 'utf8').replace(/^.*\)/s, ''))
    } catch (error) {
      if (error.code === 'ENOENT' || error.code === 'ESRCH') return true // it has ended meanwhile
      throw error
    }
  }
  while (!readdirSync(threads).every(stopped)) await pause(1)
}
