// SPDX-License-Identifier: MIT
//
// A master, a replica, and three Sentinels that watch them, as an operator would set them up.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { freePort } from './ports.mjs'
import { Redis } from './redis.mjs'
import { withUs } from './running.mjs'

// They look every 100 ms, not every second or ten, and go on soon after they were held up themselves.
const HASTE = ['INFO-PERIOD', 100, 'ASK-PERIOD', 100, 'PUBLISH-PERIOD', 100, 'TILT-PERIOD', 1000]
const PATIENT = 60_000 // ms for which a master may be silent
const HASTY = 1000
const AGAIN = 3000 // ms, half of what they wait for after they could not agree on who acts

class Sentinel extends Redis {
  async restart() {
    const all = [join(this.folder, 'conf'), '--sentinel']
    this.child = withUs(spawn('redis-server', all, { stdio: ['ignore', 'pipe', 'inherit'] }))
    this.ended = new Promise((settle) => this.child.on('close', settle))
    await new Promise((settle, fail) => {
      let log = ''
      this.child.on('error', fail)
      this.child.stdout.on('data', (text) => {
        log += text
        if (/\+monitor master/.test(log)) settle()
      })
      this.ended.then(() => fail(new Error(`the Sentinel did not start:\n${log}`)))
    })
  }
}

export class Sentinels {
  static async start(name = 'yard') {
    const group = new Sentinels()
    group.name = name
    const atOnce = ['--repl-diskless-sync-delay', '0']
    group.master = await Redis.start(atOnce)
    group.replica = await Redis.start([...atOnce, '--replicaof', '127.0.0.1', group.master.port])
    // Sentinels ask a master for its replicas when they begin, and then every 10 s.
    while ((await group.replica.info()).master_link_status !== 'up') await pause(20)
    group.list = []
    for (let i = 0; i < 3; i++) {
      const port = await freePort()
      const folder = mkdtempSync(join(tmpdir(), 'madang-sentinel-'))
      const lines = [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, `sentinel monitor ${name} 127.0.0.1 ${group.master.port} 2`, `sentinel down-after-milliseconds ${name} ${PATIENT}`, `sentinel failover-timeout ${name} ${AGAIN}`]
      writeFileSync(join(folder, 'conf'), `${lines.join('\n')}\n`)
      const sentinel = new Sentinel(port, folder, [])
      await sentinel.restart()
      await sentinel.say('SENTINEL', 'DEBUG', ...HASTE)
      group.list.push(sentinel)
    }
    for (const one of group.list) await group.until(one, (m) => m['num-slaves'] === '1' && m['num-other-sentinels'] === '2')
    return group
  }

  // The fields of what a Sentinel says of the master.
  async says(sentinel) {
    const flat = await sentinel.say('SENTINEL', 'MASTER', this.name)
    return Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]))
  }

  async until(sentinel, condition) {
    while (!condition(await this.says(sentinel))) await pause(20)
  }

  // The replica has all that the master has done by now.
  async copied() {
    const { master_repl_offset: goal } = await this.master.info()
    while (Number((await this.replica.info()).slave_repl_offset) < Number(goal)) await pause(20)
  }

  // The master is killed, and now they take silence seriously.
  async loseMaster() {
    await this.master.kill()
    for (const one of this.list) await one.say('SENTINEL', 'SET', this.name, 'down-after-milliseconds', HASTY)
  }

  get addresses() {
    return this.list.map(({ port }) => `127.0.0.1:${port}`).join(',')
  }

  get options() {
    return ['--redis-sentinels', this.addresses, '--redis-master', this.name]
  }

  // Commands of tests go to whoever is the master.
  say(...words) {
    return (this.now ?? this.master).say(...words)
  }

  async stop() {
    for (const one of [...this.list, this.master, this.replica]) {
      one.signal('SIGCONT')
      await one.stop()
    }
    for (const { folder } of this.list) rmSync(folder, { recursive: true, force: true })
  }
}
