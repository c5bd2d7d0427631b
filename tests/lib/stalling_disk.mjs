// SPDX-License-Identifier: MIT
//
// A disk that stands still for as long as a test wants: no sync of the program ends meanwhile.

import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export class StallingDisk {
  constructor(folder) {
    const library = join(folder, 'stalling_disk.so')
    const source = fileURLToPath(new URL('stalling_disk.c', import.meta.url))
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'])
    this.file = join(folder, 'stall')
    const asan = [process.env.ASAN_OPTIONS, 'verify_asan_link_order=0'].filter(Boolean).join(':') // it is in front
    this.env = { LD_PRELOAD: library, STALL_FILE: this.file, ASAN_OPTIONS: asan }
  }

  stall() {
    writeFileSync(this.file, '')
  }

  goOn() {
    rmSync(this.file, { force: true })
  }
}
