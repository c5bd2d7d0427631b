// SPDX-License-Identifier: MIT
//
// Tokens for tests, signed by Node's own crypto: a second opinion on the gateway's.

import { createHmac, createPrivateKey, generateKeyPairSync, sign as signWith } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

export const secret = 'the secret of the tests'

const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

export const now = () => Math.floor(Date.now() / 1000)

// Resolves when what ends at this second has ended, if nothing has put it off.
export async function past(second) {
  while (now() <= second) await pause(50)
}

// `key` is a secret or a private key; `header` adds to, or replaces, what a header holds.
export function token(claims, { alg = 'HS256', key = secret, header = {} } = {}) {
  const text = `${part({ alg, typ: 'JWT', ...header })}.${part(claims)}`
  return `${text}.${signature(alg, key, text).toString('base64url')}`
}

function signature(alg, key, text) {
  const hash = `sha${alg.slice(2)}`
  if (alg.startsWith('HS')) return createHmac(hash, key).update(text).digest()
  const dsaEncoding = alg.startsWith('ES') ? 'ieee-p1363' : undefined
  return signWith(hash, Buffer.from(text), { key, dsaEncoding })
}

const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

// { privateKey, publicKey, pem, jwk }
export function keyPair(alg, jwk = {}) {
  const pair = alg.startsWith('RS')
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: curves[alg] })
  const pem = pair.publicKey.export({ type: 'spki', format: 'pem' })
  return { ...pair, pem, jwk: { ...pair.publicKey.export({ format: 'jwk' }), ...jwk } }
}

export const privateKey = (pem) => createPrivateKey(pem)
