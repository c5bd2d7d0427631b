// SPDX-License-Identifier: MIT
//
// A program that is run to its end.

import { spawn } from 'node:child_process'

// { code, out, err }. It has no environment but the path, and what is given.
export function run(program, words, { env = {}, input = '', cwd } = {}) {
  const child = spawn(program, words, { cwd, env: { PATH: process.env.PATH, ...env } })
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
