// SPDX-License-Identifier: MIT
//
// The server API as an application calls it.

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { request as requestSecurely } from 'node:https'

export const KEY = 'the-key-of-tests'

// One POST: { status, headers, body }. `body` is text, or something to be made JSON of.
export function post(gateway, path, body, { headers = {}, key = KEY, agent = false } = {}) {
  const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  const all = { 'Content-Length': Buffer.byteLength(text), ...(key ? { 'X-API-Key': key } : {}), ...headers }
  return new Promise((settle, fail) => {
    const ask = gateway.tls ? requestSecurely : request
    const asked = ask({ host: gateway.host, port: gateway.port, path, method: 'POST', headers: all, agent, ...gateway.tls }, (answer) => {
      let received = ''
      answer.setEncoding('utf8')
      answer.on('data', (more) => (received += more))
      answer.on('end', () => settle({ status: answer.statusCode, headers: answer.headers, body: received }))
      answer.on('error', fail)
    })
    asked.on('error', fail)
    asked.end(text)
  })
}

export class Api {
  constructor(gateway, options = {}) {
    this.gateway = gateway
    this.options = options
  }

  // The parsed answer to a call, whatever it says.
  async call(method, params = {}, options = {}) {
    const { status, body, headers } = await post(this.gateway, `/api/${method}`, params, { ...this.options, ...options })
    assert.equal(status, 200, body)
    assert.match(headers['content-type'], /^application\/json/)
    const answer = JSON.parse(body)
    assert.equal(Object.keys(answer).length, 1, body)
    return answer
  }

  // The result of a call that must succeed.
  async ok(method, params, options) {
    const { result, error } = await this.call(method, params, options)
    assert.equal(error, undefined, JSON.stringify(error))
    assert.equal(typeof result, 'object')
    return result
  }

  // A call that must fail with this code.
  async fails(method, params, code, options) {
    const { error } = await this.call(method, params, options)
    assert.equal(error?.code, code, `${method} ${JSON.stringify(params)}`)
    assert.ok(error.message.length > 0)
    return error
  }
}
