// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rangeFrom, rowsOf, slide, SLIDE, tailRange, WINDOW } from '../src/store/layout';
import type { Line } from '../src/store/stream';

const DAY = 86_400_000;
const MINUTE = 60_000;
const noon = new Date(2026, 0, 15, 12).getTime();

function line(n: number, time: number, user = 'ann'): Line {
    const author = { user, client: '', name: user };
    const message = { key: `k${n}`, offset: n, cid: null, author, text: '', time, state: 'sent' as const, failure: null };
    return { kind: 'message', key: `k${n}`, message };
}
const gap: Line = { kind: 'gap', key: 'g', gap: 'hole', before: 3 };

/** Rows in short: D day, M first of a run, m continuation, G gap. */
const short = (lines: Line[], low = 0, high = lines.length): string =>
    rowsOf(lines, low, high).map((row) => (row.kind === 'day' ? 'D' : row.kind === 'gap' ? 'G' : row.first ? 'M' : 'm')).join('');

test('a run is one author within five minutes of silence', () => {
    assert.equal(short([line(1, noon), line(2, noon + MINUTE), line(3, noon + 2 * MINUTE, 'bob'), line(4, noon + 3 * MINUTE)]), 'DMmMM');
    assert.equal(short([line(1, noon), line(2, noon + 6 * MINUTE)]), 'DMM');
});

test('each day begins with a separator, and a run ends there', () => {
    assert.equal(short([line(1, noon), line(2, noon + DAY), line(3, noon + DAY + MINUTE)]), 'DMDMm');
});

test('a gap ends a run but not a day', () => {
    assert.equal(short([line(1, noon), gap, line(3, noon + MINUTE)]), 'DMGM');
    assert.equal(short([line(1, noon), gap, line(3, noon + DAY)]), 'DMGDM');
});

test('rows do not depend on where the window begins', () => {
    const lines = [line(1, noon), line(2, noon + MINUTE), line(3, noon + DAY), line(4, noon + DAY + MINUTE)];
    assert.equal(short(lines, 1), 'mDMm');
    assert.equal(short(lines, 3), 'm');
});

test('the window follows the tail, slides both ways and stops at the ends', () => {
    const lines = [...Array(1000).keys()].map((n) => line(n, noon));
    const most = WINDOW + SLIDE;
    assert.deepEqual(tailRange(5), { low: 0, high: 5 });
    assert.deepEqual(rangeFrom(lines, 'k100'), { low: 100, high: 100 + most });
    assert.deepEqual(rangeFrom(lines, 'gone'), tailRange(1000));
    assert.deepEqual(slide({ low: 600, high: 1000 }, 1000, true), { low: 500, high: 500 + most });
    assert.deepEqual(slide({ low: 50, high: 350 }, 1000, true), { low: 0, high: most });
    assert.equal(slide({ low: 0, high: 300 }, 1000, true), null);
    assert.equal(slide({ low: 700, high: 1000 }, 1000, false), null);
    assert.deepEqual(slide({ low: 650, high: 950 }, 1000, false), { low: 700, high: 1000 });
});

test('the window at the tail stays bounded, and its beginning rests between slides', () => {
    let moves = 0;
    for (let count = 1; count <= 2000; count++) {
        const range = tailRange(count);
        assert.equal(range.high, count);
        assert.ok(count - range.low >= Math.min(count, WINDOW) && count - range.low < WINDOW + SLIDE);
        if (range.low !== tailRange(count - 1).low) moves++;
    }
    assert.equal(moves, (2000 - WINDOW) / SLIDE);
});
