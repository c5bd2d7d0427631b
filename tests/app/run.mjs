// SPDX-License-Identifier: MIT
//
// Starts the application for a person: MADANG_BIN=build/release/madang node tests/app/run.mjs [STAFF …]
// Each STAFF is a name whose bearer may write news and moderate. Ctrl-C ends it.

import { openHouse } from './house.mjs'

const staff = process.argv.slice(2)
const house = await openHouse({ staff, port: 8000, pagePort: 3000 })
console.log(`The application is at ${house.backend.url}, its gateway at ${house.gateway.url}`)
console.log(staff.length ? `Staff: ${staff.join(', ')}` : 'There is no staff: name some behind the command')

// A terminal sends Ctrl-C to the gateway too.
async function end() {
  house.gateway.signal('SIGTERM')
  await house.gateway.ended
  await house.backend.stop()
}
process.once('SIGINT', end)
process.once('SIGTERM', end)
