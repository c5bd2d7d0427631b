// SPDX-License-Identifier: MIT
// Runs the unit tests: bundles test/*.test.ts (Node 18 reads no TypeScript) and hands the
// bundles to Node's own test runner, with the arguments that it was given.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(fileURLToPath(import.meta.url));
const names = (await readdir(join(root, 'test'))).filter((name) => name.endsWith('.test.ts'));
if (names.length === 0) throw new Error('no tests found');

const folder = await mkdtemp(join(tmpdir(), 'madang-web-test-'));
try {
    await build({
        absWorkingDir: root, entryPoints: names.map((name) => `test/${name}`), outdir: folder,
        outExtension: { '.js': '.mjs' }, bundle: true, platform: 'node', format: 'esm',
        target: 'node18', sourcemap: 'inline', logLevel: 'warning',
    });
    const files = names.map((name) => join(folder, name.replace(/\.ts$/, '.mjs')));
    const run = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...process.argv.slice(2), ...files], {
        stdio: 'inherit', timeout: 580_000,
    });
    process.exitCode = run.status ?? 1;
} finally {
    await rm(folder, { recursive: true, force: true });
}
