// SPDX-License-Identifier: MIT
//
// The application as a whole: a gateway with app.ini, and the back end beside it.

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { startGateway } from '../lib/gateway.mjs'
import { Backend } from './backend.mjs'

const config = new URL('app.ini', import.meta.url).pathname

// Secret and key are made up for each run; the gateway reads them from files, as it should in earnest. `port`:
// of the gateway; `pagePort`: of the back end.
export async function openHouse({ port = 0, pagePort = 0, args = [], hubs = 2, ...options } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'madang-app-'))
  const [secret, key] = [randomBytes(32).toString('hex'), randomBytes(16).toString('hex')]
  await writeFile(join(folder, 'secret'), `${secret}\n`, { mode: 0o600 })
  await writeFile(join(folder, 'keys'), `${key} publish,read,moderate\n`, { mode: 0o600 })
  const backend = await Backend.start({ secret, key, port: pagePort, ...options })
  const files = ['--jwt-hmac-secret-file', join(folder, 'secret'), '--api-key-file', join(folder, 'keys')]
  let gateway
  try {
    gateway = await startGateway(['--config', config, ...files, '--allowed-origins', backend.url, ...args], { port, auth: 'jwt', hubs })
  } catch (error) {
    await backend.stop()
    throw error
  } finally {
    await rm(folder, { recursive: true }) // it has been read
  }
  backend.serves({ endpoint: gateway.url, api: `http://${gateway.host}:${gateway.port}/api` })
  const close = async () => {
    await backend.stop()
    await gateway.stop()
  }
  return { gateway, backend, secret, close }
}
