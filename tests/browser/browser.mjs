// SPDX-License-Identifier: MIT
//
// The browser that the tests drive: one process per test file, started when it is first needed. Every
// person gets a context of their own, which shares nothing with the others.

import { after } from 'node:test'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

import { chromium } from 'playwright-core'

// It talks to nobody but the gateway.
const switches = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

function canRun(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function findBrowser() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = folders.flatMap((folder) => ['chromium', 'chromium-browser'].map((name) => join(folder, name)))
  const found = candidates.find(canRun)
  if (!found) throw new Error('no chromium on PATH: install the package, or name it in CHROMIUM')
  return found
}

let browser = null

export function theBrowser() {
  browser ??= chromium.launch({ executablePath: findBrowser(), headless: true, args: switches })
  return browser
}

after(async () => {
  if (browser) await (await browser).close()
})
