// SPDX-License-Identifier: MIT
//
// A disk that, for as long as a test wants, stands still (no sync of the program ends), or is full (no file
// of it grows).

import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export class SickDisk {
  constructor(folder) {
    const library = join(folder, 'sick_disk.so')
    const source = fileURLToPath(new URL('sick_disk.c', import.meta.url))
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'])
    this.signs = { stall: join(folder, 'stall'), full: join(folder, 'full') }
    const asan = [process.env.ASAN_OPTIONS, 'verify_asan_link_order=0'].filter(Boolean).join(':') // it is in front
    this.env = { LD_PRELOAD: library, STALL_FILE: this.signs.stall, FULL_FILE: this.signs.full, ASAN_OPTIONS: asan }
  }

  stall() {
    writeFileSync(this.signs.stall, '')
  }

  fill() {
    writeFileSync(this.signs.full, '')
  }

  // As it was before.
  goOn() {
    for (const sign of Object.values(this.signs)) rmSync(sign, { force: true })
  }
}
