// SPDX-License-Identifier: MIT
// Bundles the page: `npm run build -- OUTDIR` writes index.html and content-hashed assets into
// OUTDIR (default dist/). The same sources give the same bytes.
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(root, 'dist'));

/** What a first visit may cost, in bytes after gzip. */
const BUDGET = { js: 64 * 1024, css: 10 * 1024 };

async function bundle() {
    const common = {
        absWorkingDir: root, bundle: true, minify: true, write: false, metafile: true,
        legalComments: 'none', logLevel: 'warning', outdir: 'assets',
    };
    const js = await build({
        ...common, entryPoints: { app: 'src/main.tsx' }, format: 'esm', target: 'es2022',
        jsx: 'automatic', jsxImportSource: 'preact',
    });
    const css = await build({ ...common, entryPoints: { app: 'src/style/main.css' } });
    return {
        js: js.outputFiles[0].contents,
        css: css.outputFiles[0].contents,
        inputs: Object.keys(js.metafile.inputs),
    };
}

/** The licence texts of every package that ended up in the bundle. */
async function notices(inputs) {
    const names = new Set();
    for (const path of inputs) {
        const found = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
        if (found) names.add(found[1]);
    }
    const parts = [];
    for (const name of [...names].sort()) {
        const folder = join(root, 'node_modules', name);
        const about = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
        const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
        const text = file ? await readFile(join(folder, file), 'utf8') : `Licence: ${about.license}\n`;
        parts.push(`${name} ${about.version}\n\n${text.trim()}\n`);
    }
    return Buffer.from(parts.join(`\n${'-'.repeat(80)}\n\n`));
}

async function emit(name, ext, bytes) {
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
    const path = `assets/${name}-${hash}.${ext}`;
    await writeFile(join(out, path), bytes);
    return `/${path}`;
}

function withinBudget(kind, bytes) {
    const size = gzipSync(bytes, { level: 9 }).length;
    console.log(`${kind}: ${bytes.length} bytes, ${size} gzipped`);
    if (size <= BUDGET[kind]) return;
    throw new Error(`${kind} is ${size} bytes gzipped, over its budget of ${BUDGET[kind]}`);
}

const { js, css, inputs } = await bundle();
withinBudget('js', js);
withinBudget('css', css);

// Only what an earlier build wrote is removed: OUTDIR may be anything the caller names.
await rm(join(out, 'assets'), { recursive: true, force: true });
await mkdir(join(out, 'assets'), { recursive: true });
const slots = {
    '%SCRIPT%': await emit('app', 'js', js),
    '%STYLE%': await emit('app', 'css', css),
    '%ICON%': await emit('icon', 'svg', await readFile(join(root, 'src/icon.svg'))),
    '%NOTICES%': await emit('notices', 'txt', await notices(inputs)),
};
let html = await readFile(join(root, 'src/index.html'), 'utf8');
for (const [slot, path] of Object.entries(slots)) html = html.replaceAll(slot, path);
await writeFile(join(out, 'index.html'), html);
