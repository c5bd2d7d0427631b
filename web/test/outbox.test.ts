// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outbox, PATIENCE_MS } from '../src/store/outbox';

const states = (box: Outbox): string[] => box.items.map((item) => `${item.cid}:${item.state}`);

function filled(...cids: string[]): Outbox {
    const box = new Outbox();
    for (const cid of cids) box.add(cid, `text ${cid}`, 0);
    return box;
}

test('one is in flight at a time, in the order of typing', () => {
    const box = filled('a', 'b');
    assert.equal(box.next(0)?.cid, 'a');
    box.begin('a');
    assert.equal(box.next(0), null);
    box.acknowledged('a');
    assert.equal(box.next(0)?.cid, 'b');
    assert.deepEqual(states(box), ['a:sent', 'b:queued']);
});

test('publication before reply and reply before publication end alike', () => {
    const first = filled('a');
    first.begin('a');
    assert.equal(first.published('a')?.text, 'text a');
    first.acknowledged('a');
    assert.deepEqual(states(first), []);

    const second = filled('a');
    second.begin('a');
    second.acknowledged('a');
    assert.equal(second.published('a')?.text, 'text a');
    assert.equal(second.published('a'), null);
    assert.deepEqual(states(second), []);
});

test('an unknown outcome is sent again with the same cid, later, before the ones behind it', () => {
    const box = filled('a', 'b');
    box.begin('a');
    box.unknown('a', 1000, () => 1);
    assert.equal(box.next(1000), null, 'b must not overtake a');
    assert.equal(box.wakeAt(), 2000);
    assert.equal(box.next(2000)?.cid, 'a');
    box.hurry();
    assert.equal(box.next(1000)?.cid, 'a', 'a fresh subscription does not wait');
});

test('an unknown outcome that proves published is not sent again', () => {
    const box = filled('a');
    box.begin('a');
    box.unknown('a', 0);
    box.published('a');
    assert.equal(box.next(PATIENCE_MS), null);
});

test('a refusal stays with its reason and does not hold up the next', () => {
    const box = filled('a', 'b');
    box.begin('a');
    box.refused('a', { code: 103, message: 'permission denied' });
    assert.equal(box.find('a')?.failure?.code, 103);
    assert.equal(box.next(0)?.cid, 'b');
    box.retry('a', 0);
    assert.equal(box.find('a')?.failure, null);
    assert.equal(box.next(0)?.cid, 'a');
});

test('a late answer cannot fail a message that is not in flight', () => {
    const box = filled('a');
    box.begin('a');
    box.unknown('a', 0);
    box.refused('a', { code: 107, message: 'bad request' });
    assert.deepEqual(states(box), ['a:queued']);
});

test('what waited too long is not sent by itself; a retry starts its patience anew', () => {
    const box = filled('a');
    assert.equal(box.next(PATIENCE_MS)?.cid, 'a');
    assert.equal(box.next(PATIENCE_MS + 1), null);
    assert.equal(box.find('a')?.failure?.code, 'stale');
    box.retry('a', PATIENCE_MS + 1);
    assert.equal(box.next(PATIENCE_MS + 1)?.cid, 'a');
});

test('over a reload the unsent are queued again and the failed stay failed', () => {
    const box = filled('a', 'b', 'c');
    box.begin('a');
    box.refused('a', { code: 103, message: 'no' });
    box.begin('b');
    const again = Outbox.load(JSON.parse(JSON.stringify(box.save())));
    assert.deepEqual(states(again), ['a:failed', 'b:queued', 'c:queued']);
    assert.equal(again.find('b')?.text, 'text b');
});

test('storage with anything else in it loads as empty', () => {
    for (const junk of [null, 'x', {}, [1, null, { cid: 'a' }, 'y']]) {
        assert.deepEqual(Outbox.load(junk).items, []);
    }
});
