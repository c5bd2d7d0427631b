// SPDX-License-Identifier: MIT
//
// Jobs through the drivers of queues, turn by turn in one process beside what cannot be left out: for
// the store the bare statements, both synced, both 64 to a transaction, on the disk of the build; for
// Redis the bare scripts, both 32 jobs to a call.

import { dirname } from 'node:path';

import { Redis } from '../lib/redis.mjs';
import { requireBinaries, start, toolBinary } from './tool.mjs';

async function measure(name, options) {
  const binary = toolBinary(name);
  requireBinaries(binary);
  const { code, out, err } = await start(binary, options.map(String), {}).done;
  if (code !== 0) throw new Error(err || 'jobs were lost, or done twice');
  return JSON.parse(out);
}

function rows(details, beside, least) {
  const ratio = (what, value) => ({ what, value, digits: 3, least, details });
  const rate = (what, value) => ({ what, value, digits: 0 });
  return [
    ratio(`put / bare ${beside}`, details.put_ratio),
    ratio(`take and ack / bare ${beside}`, details.take_ack_ratio),
    rate('put, per second', details.put_per_s),
    rate('take and ack, per second', details.take_ack_per_s),
  ];
}

const count = ({ turns, scale }) => ['--turns', turns, '--jobs', Math.round(20000 * scale)];

async function inStore(how) {
  const dir = dirname(toolBinary('madang-jobs'));
  return rows(await measure('madang-jobs', ['--dir', dir, ...count(how)]), 'statements', 0.6);
}

async function inRedis(how) {
  const redis = await Redis.start();
  try {
    return rows(await measure('madang-jobs-redis', ['--port', redis.port, ...count(how)]), 'scripts', 0.7);
  } finally {
    await redis.stop();
  }
}

export const jobs = {
  'row-8': { title: 'jobs in the store, 64 in flight, each commit synced', run: inStore },
  'row-9': { title: 'jobs over Redis, 32 to a call', run: inRedis },
};
