// SPDX-License-Identifier: MIT
//
// node tests/load/bench.mjs [--only NAME[,NAME…]] [--quick] [--turns N] [--json FILE] [--list]
//
// Runs the performance budgets and the load scenarios on this machine, prints a table, writes JSON,
// and exits with 1 when something is over its budget or a single delivery was wrong. Ratios are
// taken within one run; absolute numbers are shown, never judged.

import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { jobs } from './jobs.mjs';
import { queues } from './queues.mjs';
import { budgets } from './rows.mjs';
import { backplane } from './backplane.mjs';
import { gatewayBinary, requireBinaries, toolBinary } from './tool.mjs';
import { troubles } from './trouble.mjs';

const scenarios = { ...budgets, ...jobs, ...queues, ...backplane, ...troubles };

function parse(argv) {
  const options = { only: Object.keys(scenarios), turns: 5, quick: false };
  options.json = join(dirname(dirname(gatewayBinary)), 'bench.json');
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === '--quick') options.quick = true;
    else if (argv[i] === '--list') options.list = true;
    else if (argv[i] === '--only') options.only = argv[++i].split(',');
    else if (argv[i] === '--turns') options.turns = Number(argv[++i]);
    else if (argv[i] === '--json') options.json = resolve(argv[++i]);
    else throw new Error(`there is no option ${argv[i]}`);
  }
  const unknown = options.only.find((name) => !scenarios[name]);
  if (unknown) throw new Error(`there is no scenario ${unknown}; --list names them`);
  return options;
}

const passes = ({ value, limit, least }) =>
  (limit === undefined || value <= limit) && (least === undefined || value >= least);

const allowed = ({ limit, least, digits }) =>
  limit !== undefined ? `<= ${limit}` : least !== undefined ? `>= ${least.toFixed(digits)}` : '';

function print(name, row) {
  const judged = row.limit !== undefined || row.least !== undefined;
  const verdict = !judged ? 'shown' : passes(row) ? 'pass' : 'FAIL';
  const value = row.value.toFixed(row.digits);
  console.log(`${name.padEnd(12)} ${row.what.padEnd(36)} ${value.padStart(10)} ${allowed(row).padStart(10)}  ${verdict}`);
}

async function runOne(name, options) {
  const { title, run } = scenarios[name];
  const turns = options.quick ? 1 : options.turns;
  const say = (line) => console.error(`  ${name}: ${line}`);
  console.error(`${name}: ${title}`);
  try {
    const rows = await run({ turns, seconds: options.quick ? 1 : 2, scale: options.quick ? 0.2 : 1, say });
    return { name, title, rows, failed: !rows.every(passes) };
  } catch (error) {
    return { name, title, rows: [], failed: true, error: error.message };
  }
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (options.list) {
    for (const [name, { title }] of Object.entries(scenarios)) console.log(name.padEnd(14), title);
    return;
  }
  requireBinaries(gatewayBinary, toolBinary('madang-load'), toolBinary('madang-floor'));
  if (cpus().length < 2) throw new Error('two cores are needed: one for the gateway, one for the load');
  const [busy] = loadavg();
  if (busy > cpus().length / 2)
    console.error(`this machine is busy (load ${busy.toFixed(1)}): ratios hold, latencies mean little`);
  const results = [];
  for (const name of options.only) results.push(await runOne(name, options));
  console.log();
  for (const { name, rows, error } of results) {
    for (const row of rows) print(name, row);
    if (error) console.log(`${name.padEnd(12)} FAIL: ${error}`);
  }
  mkdirSync(dirname(options.json), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify({ cpu: cpus()[0].model, load_before: busy, results }, null, 2)}\n`);
  console.log(`\nthe numbers are in ${options.json}`);
  process.exitCode = results.some(({ failed }) => failed) ? 1 : 0;
}

await main().catch(({ message }) => {
  console.error(message);
  process.exitCode = 2;
});
