// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message } from '../src/store/message';
import { Stream, type Line } from '../src/store/stream';

const author = (user: string) => ({ user, client: `c-${user}`, name: user });

function message(text: string, offset: number | null, cid: string | null = null, user = 'ann'): Message {
    const key = cid ? `cid-${cid}` : `at-${offset ?? text}`;
    return { key, offset, cid, author: author(user), text, time: 1, state: 'sent', failure: null };
}

/** Messages as their text, gaps in brackets. */
const shown = (stream: Stream): string[] =>
    stream.lines().map((line: Line) => (line.kind === 'gap' ? `[${line.gap}]` : line.message.text));

function at(stream: Stream, ...offsets: number[]): void {
    for (const offset of offsets) stream.take(offset, message(`m${offset}`, offset));
}

test('publications stand by offset, whatever order they arrive in, each once', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 3 });
    at(stream, 3, 1, 4, 2);
    assert.equal(stream.take(2, message('again', 2)), 'held');
    assert.deepEqual(shown(stream), ['m1', 'm2', 'm3', 'm4']);
    assert.deepEqual(stream.holes(), []);
});

test('a hole shows where offsets are not consecutive and goes away when it is filled', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 2 });
    at(stream, 1, 2, 5, 6);
    assert.deepEqual(shown(stream), ['m1', 'm2', '[hole]', 'm5', 'm6']);
    assert.deepEqual(stream.holes(), [{ after: 2, before: 5, lost: false }]);
    at(stream, 4);
    assert.deepEqual(shown(stream), ['m1', 'm2', '[hole]', 'm4', 'm5', 'm6']);
    at(stream, 3);
    assert.deepEqual(shown(stream), ['m1', 'm2', 'm3', 'm4', 'm5', 'm6']);
});

test('a resubscription that was not recovered leaves a hole up to the named top', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 2 });
    at(stream, 1, 2);
    assert.equal(stream.subscribed({ epoch: 'a', offset: 9 }), false);
    assert.deepEqual(shown(stream), ['m1', 'm2', '[hole]']);
    assert.deepEqual(stream.holes(), [{ after: 2, before: 10, lost: false }]);
});

test('what history no longer has is told as lost', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 2 });
    at(stream, 1, 2);
    stream.subscribed({ epoch: 'a', offset: 9 });
    at(stream, 8, 9);
    stream.reachedEnd(8);
    assert.deepEqual(shown(stream), ['m1', 'm2', '[lost]', 'm8', 'm9']);
});

test('another epoch begins behind a break, and equal offsets are different messages', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 2 });
    at(stream, 1, 2);
    assert.equal(stream.subscribed({ epoch: 'b', offset: 1 }), true);
    stream.take(1, message('new', 1));
    assert.deepEqual(shown(stream), ['m1', 'm2', '[break]', 'new']);
    assert.equal(stream.take(2, message('newer', 2)), 'new');
    assert.equal(stream.broken, true);
});

test('an epoch in which nothing was held leaves no break', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 0 });
    stream.subscribed({ epoch: 'b', offset: 0 });
    at(stream, 1);
    assert.deepEqual(shown(stream), ['m1']);
});

test('the same message resent into another epoch is shown once and keeps its place', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 0 });
    stream.take(1, message('hello', 1, 'x'));
    stream.subscribed({ epoch: 'b', offset: 0 });
    assert.equal(stream.take(1, message('hello', 1, 'x')), 'repeat');
    assert.equal(stream.take(2, message('hello', 2, 'x', 'bob')), 'new', 'the cid of somebody else');
    assert.deepEqual(shown(stream), ['hello', '[break]', 'hello']);
    assert.deepEqual(stream.holes(), []);
});

test('publications without a row hold their place: no hole, no line', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 0 });
    at(stream, 1);
    stream.take(2, null);
    at(stream, 3);
    assert.deepEqual(shown(stream), ['m1', 'm3']);
});

test('messages without an offset stand in order of arrival and make no hole', () => {
    const stream = new Stream();
    stream.subscribed(null);
    for (const text of ['a', 'b', 'c']) stream.take(null, message(text, null));
    assert.deepEqual(shown(stream), ['a', 'b', 'c']);
    stream.subscribed({ epoch: 'a', offset: 5 });
    at(stream, 5);
    stream.adopt(message('lost echo', null, 'y'));
    at(stream, 6);
    assert.deepEqual(shown(stream), ['a', 'b', 'c', '[break]', 'm5', 'lost echo', 'm6']);
});

test('paging back goes on until offset 1 or until history brings nothing', () => {
    const stream = new Stream();
    assert.equal(stream.olderThan, null);
    stream.subscribed({ epoch: 'a', offset: 4 });
    assert.equal(stream.olderThan, 5);
    at(stream, 4, 3);
    assert.equal(stream.olderThan, 3);
    stream.reachedEnd(3);
    assert.equal(stream.olderThan, null);
    assert.equal(stream.trimmed, true);
    at(stream, 2, 1);
    assert.equal(stream.olderThan, null);
});

test('an empty room has nothing older', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 0 });
    assert.equal(stream.olderThan, null);
    assert.equal(stream.trimmed, false);
});

test('trimming forgets the oldest, and history can bring them back', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 10 });
    for (let i = 1; i <= 10; i++) stream.take(i, message(`m${i}`, i, `c${i}`));
    stream.trim(4);
    assert.deepEqual(shown(stream), ['m7', 'm8', 'm9', 'm10']);
    assert.equal(stream.olderThan, 7);
    assert.equal(stream.take(6, message('m6', 6, 'c6')), 'new');
    assert.deepEqual(shown(stream), ['m6', 'm7', 'm8', 'm9', 'm10']);
});

test('trimming takes whole earlier epochs first', () => {
    const stream = new Stream();
    stream.subscribed({ epoch: 'a', offset: 0 });
    at(stream, 1, 2, 3);
    stream.subscribed({ epoch: 'b', offset: 0 });
    stream.take(1, message('b1', 1));
    stream.take(2, message('b2', 2));
    stream.trim(2);
    assert.deepEqual(shown(stream), ['b1', 'b2']);
    assert.equal(stream.broken, false);
});

test('any interleaving of live, history and repeats ends in the same list', () => {
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    for (let round = 0; round < 200; round++) {
        const stream = new Stream();
        stream.subscribed({ epoch: 'a', offset: 30 });
        const order = [...Array(40).keys()].flatMap((i) => Array(1 + random(3)).fill(i + 1) as number[]);
        for (let i = order.length - 1; i > 0; i--) {
            const j = random(i + 1);
            [order[i], order[j]] = [order[j]!, order[i]!];
        }
        const fresh = order.filter((offset) => stream.take(offset, message(`m${offset}`, offset, `c${offset}`)) === 'new');
        assert.equal(fresh.length, 40);
        assert.deepEqual(shown(stream), [...Array(40).keys()].map((i) => `m${i + 1}`));
    }
});
