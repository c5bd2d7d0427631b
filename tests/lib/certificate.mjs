// SPDX-License-Identifier: MIT
//
// Certificates for tests, signed by themselves, made by the openssl command.

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const kinds = { ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'], rsa: ['rsa:2048'] }

// Writes NAME.cert and NAME.key into the folder: { cert, key, pem, fingerprint }. `expired`: since
// yesterday.
export async function makeCertificate(folder, name, { kind = 'ec', expired = false } = {}) {
  const [cert, key, request] = ['cert', 'key', 'csr'].map((end) => join(folder, `${name}.${end}`))
  const names = 'subjectAltName=DNS:localhost,DNS:chat.example,IP:127.0.0.1'
  const make = ['req', '-newkey', ...kinds[kind], '-nodes', '-keyout', key, '-subj', `/CN=${name}`, '-addext', names]
  if (expired) {
    // openssl cannot make one that begins in the past, but one that ends before it begins.
    await run('openssl', [...make, '-out', request])
    await run('openssl', ['x509', '-req', '-in', request, '-signkey', key, '-days', '-1', '-out', cert])
  } else {
    await run('openssl', [...make, '-x509', '-days', '30', '-out', cert])
  }
  const { stdout } = await run('openssl', ['x509', '-in', cert, '-noout', '-fingerprint', '-sha256'])
  return { cert, key, pem: await readFile(cert, 'utf8'), fingerprint: stdout.trim().split('=')[1] }
}

// The key once more, behind a passphrase.
export async function lockKey(key, locked) {
  await run('openssl', ['ec', '-in', key, '-aes256', '-passout', 'pass:sesame', '-out', locked])
}
