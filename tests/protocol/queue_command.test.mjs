// SPDX-License-Identifier: MIT
// `madang queue`: what people type, over the socket beside the store and over an address.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { Api, KEY } from '../lib/api.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { run } from '../lib/program.mjs'
import { it } from '../lib/suite.mjs'
import { Target } from '../lib/worker.mjs'

const runQueue = (words, how) => run(process.env.MADANG_BIN, ['queue', ...words], how)

async function withGateway(body) {
  const folder = mkdtempSync(join(tmpdir(), 'madang-command-'))
  const store = join(folder, 'madang.db')
  const gateway = await startGateway(['--store', store, '--local-durability', 'process', '--api-key', KEY])
  const queue = async (...words) => {
    const { code, out, err } = await runQueue([...words, '--store', store])
    assert.equal(code, 0, `${words}: ${err}`)
    return out
  }
  const refused = async (...words) => {
    const { code, out, err } = await runQueue([...words, '--store', store])
    assert.equal(code, 1, `${words}: ${out}`)
    assert.equal(out, '')
    return err
  }
  try {
    await body({ gateway, store, queue, refused })
  } finally {
    await gateway.stop()
    assert.throws(() => statSync(`${store}.sock`), { code: 'ENOENT' })
    rmSync(folder, { recursive: true })
  }
}

it('a job goes its way by words alone, over the socket that only the owner may use', () =>
  withGateway(async ({ gateway, store, queue, refused }) => {
    assert.equal(statSync(`${store}.sock`).mode & 0o777, 0o600)
    assert.equal(await queue('stats'), 'no queue has been used so far\n')
    const id = (await queue('put', 'work', 'mail', '{"to":"x"}', '--key', 'a', '--priority', '2')).trim()
    assert.match(await queue('put', 'work', 'mail', '--key=a'), new RegExp(`^${id} \\(it was there already`))
    const [first, token, kind, data] = (await queue('take', 'work', '--lease', '1h', '--wait', '1s')).trim().split('\t')
    assert.deepEqual([first, kind, data], [id, 'mail', '{"to":"x"}'])
    assert.match(await queue('stats', 'work'), /^work +0 +1 +0 +0 +0/m)
    assert.equal(JSON.parse(await queue('get', id)).state, 'leased')
    assert.equal(await queue('ack', id, token), `${id}: ok\n`)
    assert.match(await refused('ack', id, token), /there is no such job any more/)
    const { err, code } = await runQueue(['put', 'work', 'k', '-', '--store', store], { input: '[1,\n2]' })
    assert.equal(code, 0, err)
    assert.match(await queue('take', 'work', '--ack'), /\tk\t\[1,2\]\n$/)
    assert.equal((await new Api(gateway).ok('queue_stats', { queue: 'work' })).acked, 2)
  }))

it('the dead are listed, put again and forgotten, and queues are stopped', () =>
  withGateway(async ({ gateway, queue, refused }) => {
    const api = new Api(gateway)
    await api.ok('queue_put', { queue: 'work', jobs: [{ kind: 'a' }, { kind: 'b' }, { kind: 'c' }] })
    const { jobs } = await api.ok('queue_take', { queue: 'work', max: 3 })
    await api.ok('queue_nack', { jobs: jobs.map(({ id, token }) => ({ id, token, fatal: true, error: 'bad\nluck' })) })
    const lines = (await queue('dead', 'work')).trim().split('\n')
    assert.equal(lines.length, 3)
    assert.match(lines[0], new RegExp(`^${jobs[0].id}\t.*Z\trejected\t.*\ta\tbad luck$`))
    assert.match(await refused('retry', 'work'), /--all/)
    assert.equal(await queue('retry', 'work', jobs[0].id), '1 job\n')
    assert.equal(await queue('purge', 'work', '--all'), '2 jobs\n')
    for (const data of [1, 2, 3]) {
      await api.ok('queue_put', { queue: 'keyed', jobs: [{ kind: 'a', data, key: 'k' }] })
      const { jobs: [{ id, token }] } = await api.ok('queue_take', { queue: 'keyed' })
      await api.ok('queue_nack', { jobs: [{ id, token, fatal: true }] })
    }
    assert.equal(await queue('retry', 'keyed', '--all'), '1 job; 2 stay dead, since another job has their key\n')
    await queue('pause', 'work')
    assert.equal(await queue('take', 'work'), '')
    await queue('drain', 'work')
    assert.match(await queue('stats', 'work'), / paused draining$/m)
    assert.match(await refused('put', 'work', 'k'), /draining/)
    await queue('resume', 'work')
    assert.equal(JSON.parse(await queue('take', 'work', '--json')).jobs[0].kind, 'a')
  }))

it('all that are dead are tried again, each once, though they die again at once', () =>
  withGateway(async ({ gateway, queue }) => {
    const count = 300 // more than fit into one call
    const api = new Api(gateway)
    const dead = async () => (await api.ok('queue_stats', { queue: '_webhook' })).dead
    const put = { queue: '_webhook', jobs: Array(count / 2).fill({ kind: 'call', data: 'no call' }) }
    for (let i = 0; i < 2; i++) await api.ok('queue_put', put)
    while ((await dead()) < count) await pause(20)
    assert.equal(await queue('retry', '_webhook', '--all'), `${count} jobs\n`)
    while ((await dead()) < count) await pause(20)
    const { died } = await api.ok('queue_stats', { queue: '_webhook' })
    assert.equal(died, 2 * count)
  }))

it('what cannot be done is said in words', () =>
  withGateway(async ({ gateway, refused }) => {
    assert.match(await refused(), /say what is to be done/)
    assert.match(await refused('pauze', 'work'), /unknown word "pauze"; did you mean pause\?/)
    assert.match(await refused('cron', 'x'), /say `madang queue cron`/)
    assert.match(await refused('put', 'work', ''), /cannot take such a job: kind must be 1 to 64 bytes/)
    assert.match(await refused('get', 'x'), /error 107: bad request: an id is/)
    assert.match(await refused('put', 'work'), /madang queue put QUEUE KIND/)
    assert.match(await refused('put', 'work', 'k', 'text'), /no JSON/)
    assert.match(await refused('stats', '--delay', '1s'), /--delay is unknown here/)
    assert.match(await refused('take', 'work', '--max', '300'), /--max: .*1 to 256/)
    assert.match(await refused('put', 'x'.repeat(65), 'k'), /error 107/)
    const elsewhere = await runQueue(['stats'], { env: { MADANG_STORE: '/nowhere/x.db' } })
    assert.match(elsewhere.err, /no folder/)
    const nobody = await runQueue(['stats', '--store', join(tmpdir(), 'madang-nobody.db')])
    assert.match(nobody.err, /no gateway answers at .* \(No such file or directory\)/)
    const url = ['--url', `http://127.0.0.1:${gateway.port}`]
    assert.match((await runQueue(['stats', ...url])).err, /asks for a key: say --api-key/)
    assert.match((await runQueue(['stats', ...url, '--api-key', 'another'])).err, /does not know this key/)
    assert.match(await refused('stats', '--url', `${gateway.host}:${gateway.port}`), /--url: .* allowed: a URL that begins with http/)
    assert.equal((await runQueue(['stats', ...url], { env: { MADANG_API_KEY: KEY } })).code, 0)
  }))

it('an error of the gateway itself is not the end of the search', async () => {
  const target = await Target.open((request, response) => response.end('{"error":{"code":100,"message":"internal server error"}}'))
  const { code, err } = await runQueue(['stats', '--url', target.url, '--api-key', KEY])
  assert.deepEqual([code, err], [1, 'error 100: internal server error (the log of the gateway says why)\n'])
  await target.close()
})
