// SPDX-License-Identifier: MIT
//
// Runs the official client's own tests (centrifuge-js 5.7.1) against a gateway:
//
//   CENTRIFUGE_JS_DIR=/path/to/centrifuge-js MADANG_BIN=build/release/madang node tests/protocol/official.mjs
//
// Further words are options of the gateway, such as --backplane redis --redis-url redis://127.0.0.1:6379.
//
// The folder is a checkout of the tag 5.7.1 with its packages installed
// (npm install --ignore-scripts --legacy-peer-deps). It is not changed: a copy of its sources, in which
// the fixed port is replaced, is what runs. Chosen are the tests of streams over WebSocket and JSON;
// maps, shared polls, protobuf and HTTP fallbacks are not spoken here.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { startGateway } from '../lib/gateway.mjs'

const VERSION = '5.7.1'
const files = ['centrifuge', 'recovery', 'getstate', 'delta', 'compaction', 'utils'].map((name) => `src/${name}.test.ts`)
const chosen = '^(?!(map|http_stream|sse))'
const expected = { passed: 50, failed: 0 } // 26 + 3 + 7 + 4 + 4 + 6

const checkout = resolve(process.env.CENTRIFUGE_JS_DIR ?? '')
if (!process.env.CENTRIFUGE_JS_DIR) {
  console.error(`CENTRIFUGE_JS_DIR must name a checkout of centrifuge-js ${VERSION} with its packages installed`)
  process.exit(2)
}
assert.equal(JSON.parse(await readFile(join(checkout, 'package.json'))).version, VERSION)

// A folder like the checkout, but with our ports.
async function copyWithPorts(gateway) {
  const folder = await mkdtemp(join(tmpdir(), 'centrifuge-js-'))
  await cp(join(checkout, 'src'), join(folder, 'src'), { recursive: true })
  for (const name of ['package.json', 'tsconfig.json', 'jest.config.js']) await cp(join(checkout, name), join(folder, name))
  await symlink(join(checkout, 'node_modules'), join(folder, 'node_modules'))
  for (const name of await readdir(join(folder, 'src'))) {
    if (!name.endsWith('.test.ts')) continue
    const text = await readFile(join(folder, 'src', name), 'utf8')
    await writeFile(join(folder, 'src', name), text.replaceAll('localhost:8000', `localhost:${gateway.port}`))
  }
  return folder
}

async function jest(folder) {
  const report = join(folder, 'report.json')
  const program = join('node_modules', 'jest', 'bin', 'jest.js')
  const options = ['--forceExit', '--verbose', '--maxWorkers=2', '--json', `--outputFile=${report}`, '-t', chosen]
  const child = spawn(process.execPath, [program, ...options, ...files], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  await new Promise((settle, fail) => child.on('error', fail).on('close', settle))
  return JSON.parse(await readFile(report, 'utf8'))
}

const args = ['--config', new URL('official.ini', import.meta.url).pathname, ...process.argv.slice(2)]
const gateway = await startGateway(args, { host: 'localhost', hubs: 2 })
const folder = await copyWithPorts(gateway)
try {
  const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped } = await jest(folder)
  console.log(`centrifuge-js ${VERSION}: ${passed} passed, ${failed} failed, ${skipped} not chosen`)
  assert.deepEqual({ passed, failed }, expected)
} finally {
  await rm(folder, { recursive: true, force: true })
  await gateway.stop()
}
