// SPDX-License-Identifier: MIT
import './browser';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff } from '../src/base/backoff';
import { randomId } from '../src/base/random';
import { bucket, initial, oneLine } from '../src/base/text';
import { pickLanguage } from '../src/strings';
import { partsOf } from '../src/ui/links';

const links = (text: string): string[] => partsOf(text).flatMap((part) => (part.href ? [part.text] : []));

test('links are found without the punctuation behind them', () => {
    assert.deepEqual(links('see https://a.example/x, or (http://b.example/y).'), ['https://a.example/x', 'http://b.example/y']);
    assert.deepEqual(links('https://a.example/x_(y)'), ['https://a.example/x_(y)']);
    assert.deepEqual(links('여기 https://a.example/가 보세요。'), ['https://a.example/가']);
});

test('nothing but plain web addresses becomes a link', () => {
    for (const text of [
        'javascript:alert(1)', 'java\tscript:alert(1)', 'JAVASCRIPT:alert(1)', 'data:text/html,x', 'vbscript:x',
        'blob:https://a', '//host/x', 'https://bank@evil.example/', 'http://', 'ftp://a.example/', 'file:///etc/passwd',
    ]) assert.deepEqual(links(text).filter((link) => !/^https:\/\/a$/.test(link)), [], text);
});

test('the parts of a text are the text', () => {
    let seed = 1;
    const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    const pieces = ['http://', 'https://a.b', ' ', '(', ')', '.', '/', '가', '😀', '<b>', '@', '\n', '"', 'x'];
    for (let i = 0; i < 2000; i++) {
        const text = [...Array(random(12))].map(() => pieces[random(pieces.length)]).join('');
        assert.equal(partsOf(text).map((part) => part.text).join(''), text);
    }
});

test('a long text without links costs linear time', () => {
    const text = 'https:/ )))'.repeat(20_000);
    const begin = Date.now();
    partsOf(text);
    partsOf(`https://a.example/${')'.repeat(200_000)}x`);
    assert.ok(Date.now() - begin < 1000);
});

test('names keep to one line and to whole characters', () => {
    assert.equal(oneLine('  a\n b\u0007 ', 10), 'a b');
    assert.equal(oneLine('😀😀😀', 2), '😀😀');
    assert.equal(oneLine('a\ud800b', 10), 'ab');
    assert.equal(initial('ari'), 'A');
    assert.equal(initial('😀x'), '😀');
    assert.equal(initial(' '), '?');
});

test('a colour is stable and within its twelve', () => {
    const seen = new Set<number>();
    for (let i = 0; i < 500; i++) {
        const hue = bucket(`g_${i}`, 12);
        assert.ok(Number.isInteger(hue) && hue >= 0 && hue < 12);
        assert.equal(bucket(`g_${i}`, 12), hue);
        seen.add(hue);
    }
    assert.equal(seen.size, 12);
});

test('ids are random, of the wanted length, and safe in JSON and URLs', () => {
    const ids = new Set([...Array(200)].map(() => randomId(22)));
    assert.equal(ids.size, 200);
    for (const id of ids) assert.match(id, /^[\w-]{22}$/);
});

test('waits double, keep half of it random and stop growing', () => {
    assert.equal(backoff(0, 800, 20_000, () => 1), 800);
    assert.equal(backoff(3, 800, 20_000, () => 0), 3200);
    assert.equal(backoff(500, 800, 20_000, () => 1), 20_000);
});

test('the language is the first one wanted that there is', () => {
    assert.equal(pickLanguage(['fr-FR', 'ko-KR', 'en']), 'ko');
    assert.equal(pickLanguage(['xx']), 'en');
    assert.equal(pickLanguage(['constructor']), 'en');
});
