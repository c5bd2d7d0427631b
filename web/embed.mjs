// SPDX-License-Identifier: MIT
// Usage: node embed.mjs FOLDER OUT.c
// Writes the files of FOLDER, and the policy in csp.txt, as the C data that gateway/assets.h describes.

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

// A name such as chat-4NCB5XTF.js: the content hash that the bundler puts before the suffix.
const HASHED = /[-.](?:[0-9A-Z]{8}|[0-9a-f]{8,64})\.\w+$/;

function* walk(root, at = '/') {
  for (const entry of readdirSync(join(root, at), { withFileTypes: true })) {
    const path = posix.join(at, entry.name);
    if (entry.isDirectory()) yield* walk(root, path);
    else yield path;
  }
}

function bytes(name, buffer) {
  const lines = [];
  for (let i = 0; i < buffer.length; i += 24) lines.push(buffer.subarray(i, i + 24).join(','));
  return `static const unsigned char ${name}[] = {\n${lines.join(',\n')}};\n`;
}

function load(root, path) {
  const type = TYPES[extname(path)];
  if (!type) throw new Error(`${path}: no content type is known for this kind of file`);
  if (!/^[\w./-]+$/.test(path)) throw new Error(`${path}: a name that would need escaping in a URL`);
  const plain = readFileSync(join(root, path));
  if (plain.length === 0) throw new Error(`${path} is empty`);
  const etag = createHash('sha256').update(plain).digest('hex').slice(0, 20);
  return { path, type, etag, immutable: HASHED.test(path), plain, gzip: gzipSync(plain, { level: 9 }) };
}

function generate(files, policy) {
  const data = files.map((f, i) => bytes(`gzip${i}`, f.gzip) + bytes(`plain${i}`, f.plain));
  const rows = files.map((f, i) =>
    `    {"${f.path}", "${f.type}", "W/\\"${f.etag}\\"", ${f.immutable}, ` +
    `gzip${i}, sizeof gzip${i}, plain${i}, sizeof plain${i}},\n`);
  return '#include "gateway/assets.h"\n\n' + data.join('') +
    `\nconst struct asset asset_table[] = {\n${rows.join('')}};\n` +
    `const size_t asset_count = ${files.length};\n` +
    `const char asset_policy[] = ${JSON.stringify(policy)};\n`;
}

function embed(root, out) {
  const paths = [...walk(root)].sort((a, b) => (a < b ? -1 : 1)); // by code unit, as memcmp does
  if (!paths.includes('/index.html')) throw new Error(`${root} has no index.html`);
  const policy = readFileSync(join(dirname(fileURLToPath(import.meta.url)), 'csp.txt'), 'utf8').trim();
  writeFileSync(out, generate(paths.map((path) => load(root, path)), policy));
}

try {
  embed(process.argv[2], process.argv[3]);
} catch (error) {
  console.error(`embed.mjs: ${error.message}`);
  process.exitCode = 1;
}
