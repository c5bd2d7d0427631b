// SPDX-License-Identifier: MIT
//
// Jobs through the driver in the store, beside a bare loop of the statements that cannot be left
// out: both synced, both 64 to a transaction, turn by turn in one process, on the disk of the build.

import { dirname } from 'node:path';

import { requireBinaries, start, toolBinary } from './tool.mjs';

const LEAST = 0.6;

async function run({ turns, scale }) {
  const binary = toolBinary('madang-jobs');
  requireBinaries(binary);
  const options = ['--dir', dirname(binary), '--turns', turns, '--jobs', Math.round(20000 * scale)];
  const { code, out, err } = await start(binary, options.map(String), {}).done;
  if (code !== 0) throw new Error(err || 'jobs were lost, or done twice');
  const details = JSON.parse(out);
  const ratio = (what, value) => ({ what, value, digits: 3, least: LEAST, details });
  const rate = (what, value) => ({ what, value, digits: 0 });
  return [
    ratio('put / bare statements', details.put_ratio),
    ratio('take and ack / bare statements', details.take_ack_ratio),
    rate('put, per second', details.put_per_s),
    rate('take and ack, per second', details.take_ack_per_s),
  ];
}

export const jobs = { 'row-8': { title: 'jobs in the store, 64 in flight, each commit synced', run } };
