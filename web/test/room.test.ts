// SPDX-License-Identifier: MIT
import { settled } from './browser';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Publication } from '../src/net/publication';
import { Room } from '../src/store/room';

const me = { user: 'g_me', client: 'c-me', name: 'Me' };
const ann = { user: 'g_ann', client: 'c-ann', name: 'Ann' };
let rooms = 0;
const newRoom = (): Room => new Room(`room-${rooms++}`, () => me);

function said(offset: number, text: string, author = ann, cid: string | null = null): Publication {
    return { kind: 'message', offset, author, text, cid, time: 1000 + offset };
}

async function shown(room: Room): Promise<string[]> {
    await settled();
    return room.lines.value.map((line) =>
        line.kind === 'gap' ? `[${line.gap}]` : `${line.message.state} ${line.message.offset ?? '-'} ${line.message.text}`);
}

test('my message keeps its row from the queue into the stream', async () => {
    const room = newRoom();
    room.subscribed({ epoch: 'a', offset: 0 }, false);
    room.send('hi');
    assert.deepEqual(await shown(room), ['queued - hi']);
    const key = room.lines.value[0]!.key;
    const cid = room.outbox.items[0]!.cid;
    room.outbox.begin(cid);
    room.publication(said(1, 'hi', me, cid), true);
    assert.deepEqual(await shown(room), ['sent 1 hi']);
    assert.equal(room.lines.value[0]!.key, key);
    assert.equal(room.outbox.items.length, 0);
});

test('what waits is the same message until it changes, so it is not drawn again', async () => {
    const room = newRoom();
    room.subscribed({ epoch: 'a', offset: 0 }, false);
    room.send('one');
    room.send('two');
    const waiting = async () => {
        await shown(room);
        return room.lines.value.flatMap((line) => (line.kind === 'message' ? [line.message] : []));
    };
    const before = await waiting();
    room.outbox.begin(before[0]!.cid!);
    room.changed();
    const after = await waiting();
    assert.deepEqual(after.map(({ text, state }) => `${text} ${state}`), ['one sending', 'two queued']);
    assert.equal(after[1], before[1]);
    room.close();
});

test('my other window and my earlier connection confirm too, somebody else does not', async () => {
    const room = newRoom();
    room.subscribed({ epoch: 'a', offset: 0 }, false);
    room.send('one');
    const cid = room.outbox.items[0]!.cid;
    room.publication(said(1, 'one', ann, cid), true);
    assert.deepEqual(await shown(room), ['sent 1 one', 'queued - one']);
    room.publication(said(2, 'one', { ...me, client: 'c-old' }, cid), true);
    assert.deepEqual(await shown(room), ['sent 1 one', 'sent 2 one']);
});

test('what others say counts as unread unless it is watched', () => {
    const room = newRoom();
    room.subscribed({ epoch: 'a', offset: 5 }, false);
    room.publication(said(5, 'was there before'), false);
    assert.equal(room.unread.value, 0);
    room.publication(said(6, 'new'), true);
    room.publication(said(7, 'mine', me, 'x'), true);
    room.publication(said(7, 'again'), true);
    assert.equal(room.unread.value, 1);
    room.seen();
    assert.equal(room.unread.value, 0);
    room.watched = true;
    room.publication(said(8, 'seen at once'), true);
    assert.equal(room.unread.value, 0);
    assert.equal(room.heard.value?.text, 'seen at once');
});

test('what the gateway has counted is unread, and what comes later is counted on top', () => {
    const room = newRoom();
    const read: number[] = [];
    room.onRead = ({ offset }) => read.push(offset);
    room.countedBy({ epoch: 'a', offset: 7 }, 3); // before the room is open
    room.subscribed({ epoch: 'a', offset: 6 }, false);
    assert.equal(room.unread.value, 3);
    for (const offset of [7, 6, 5]) room.publication(said(offset, `m${offset}`), false);
    assert.equal(room.unread.value, 3);
    room.publication(said(8, 'later'), true);
    room.publication(said(9, 'mine', me), true);
    assert.equal(room.unread.value, 4);
    room.countedBy({ epoch: 'a', offset: 7 }, 1); // another window has read
    assert.equal(room.unread.value, 2);
    room.countedBy({ epoch: 'other', offset: 9 }, 9);
    assert.equal(room.unread.value, 2);
    room.seen();
    assert.equal(room.unread.value, 0);
    assert.deepEqual(read, [9]);
    room.watched = true;
    room.publication(said(10, 'seen at once'), true);
    room.countedBy({ epoch: 'a', offset: 10 }, 1);
    assert.equal(room.unread.value, 0);
    assert.deepEqual(read, [9, 10, 10]);
});

test('what history brings after an outage is unread, older pages are not', () => {
    const room = newRoom();
    room.subscribed({ epoch: 'a', offset: 5 }, false);
    room.publication(said(5, 'five'), false);
    room.subscribed({ epoch: 'a', offset: 8 }, false);
    for (const offset of [8, 7, 6, 4, 3]) room.publication(said(offset, `m${offset}`), false);
    assert.equal(room.unread.value, 3);
});

test('after a change of epoch: a break, all unread, the unsent still waiting', async () => {
    const room = newRoom();
    room.subscribed({ epoch: 'a', offset: 0 }, false);
    room.publication(said(1, 'old'), true);
    room.seen();
    room.send('acknowledged');
    room.send('waiting');
    const [first] = room.outbox.items;
    room.outbox.begin(first!.cid);
    room.outbox.acknowledged(first!.cid);
    room.subscribed({ epoch: 'b', offset: 1 }, false);
    room.publication(said(1, 'new'), false);
    assert.deepEqual(await shown(room), ['sent 1 old', 'sent - acknowledged', '[break]', 'sent 1 new', 'queued - waiting']);
    assert.equal(room.unread.value, 1);
});

test('a message that went out in both epochs is shown once, in the first', async () => {
    const room = newRoom();
    room.subscribed({ epoch: 'a', offset: 0 }, false);
    room.publication(said(1, 'twice', ann, 'x'), true);
    room.subscribed({ epoch: 'b', offset: 1 }, false);
    room.publication(said(1, 'twice', ann, 'x'), false);
    room.publication(said(2, 'after', ann, 'y'), true);
    assert.deepEqual(await shown(room), ['sent 1 twice', '[break]', 'sent 2 after']);
});

test('typing shows others only, and ends with their message', () => {
    const room = newRoom();
    room.subscribed({ epoch: 'a', offset: 0 }, false);
    room.publication({ kind: 'typing', author: { ...me, client: 'c-other-window' } }, true);
    assert.deepEqual(room.typing.value, []);
    room.publication({ kind: 'typing', author: ann }, true);
    assert.deepEqual(room.typing.value, ['Ann']);
    room.publication(said(1, 'done'), true);
    assert.deepEqual(room.typing.value, []);
    room.close();
});

test('unsent messages outlive a reload, a left room leaves nothing', async () => {
    const first = new Room('kept', () => me);
    first.send('still here');
    await settled();
    const second = new Room('kept', () => me);
    assert.deepEqual(await shown(second), ['queued - still here']);
    second.close();
    assert.deepEqual(await shown(new Room('kept', () => me)), []);
});

test('an edited message goes back to the composer', () => {
    const room = newRoom();
    room.send('wrnog');
    room.edit(room.outbox.items[0]!.cid);
    assert.equal(room.restored.value, 'wrnog');
    assert.equal(room.outbox.items.length, 0);
});

const redaction = (offset: number, of: number, epoch = 'a'): Publication => ({ kind: 'redaction', offset, of: { epoch, offset: of } });
const texts = (room: Room): string[] => room.lines.value.map((line) =>
    line.kind === 'gap' ? `[${line.gap}]` : `${line.message.author.name}: ${line.message.redacted ? '-' : line.message.text}`);

test('a redacted message keeps its row and loses its text, of an earlier epoch too', async () => {
    const room = newRoom();
    room.subscribed({ epoch: 'a', offset: 0 }, false);
    room.publication(said(1, 'secret'), true);
    room.publication(said(2, 'fine'), true);
    await settled();
    const key = room.lines.value[0]!.key;
    room.publication(redaction(3, 1), true);
    room.publication(redaction(4, 99), true);
    await settled();
    assert.deepEqual(texts(room), ['Ann: -', 'Ann: fine']);
    assert.equal(room.lines.value[0]!.key, key);
    assert.ok(!JSON.stringify(room.lines.value).includes('secret'));
    room.subscribed({ epoch: 'b', offset: 0 }, false);
    room.publication(redaction(1, 2, 'b'), true); // the same offset, of the other epoch
    room.publication(redaction(2, 2, 'a'), true);
    await settled();
    assert.deepEqual(texts(room), ['Ann: -', 'Ann: -', '[break]']);
});

test('a place where a message was is a row without text, and takes the text that is held', async () => {
    const room = newRoom();
    room.subscribed({ epoch: 'a', offset: 3 }, false);
    room.publication(said(1, 'secret'), false);
    room.publication({ kind: 'redacted', offset: 2 }, false);
    room.publication({ kind: 'redacted', offset: 1 }, false); // history is read again
    room.publication(said(3, 'fine'), false);
    await settled();
    assert.deepEqual(texts(room), ['Ann: -', ': -', 'Ann: fine']);
    assert.equal(room.unread.value, 0);
});
