// SPDX-License-Identifier: MIT
/** Reminders of which no answer came, on a clock that is turned. */
import './browser';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Feed } from '../src/net/feed';
import type { Link } from '../src/net/link';
import { Room } from '../src/store/room';
import { Clock } from './clock';

const clock = new Clock();
clock.install();

const me = { user: 'g_me', client: 'c-me', name: 'Me' };
const subscription = { on: () => {}, subscribe: () => {} };
const HOUR = 3_600_000;

function open(title: string, rpc: () => Promise<unknown>): Feed {
    const client = { newSubscription: () => subscription, removeSubscription: () => {}, rpc };
    const link = { client, held: { value: false }, state: { value: { phase: 'connected' } } };
    return new Feed(link as unknown as Link, new Room(title, () => me));
}

const pass = (ms: number): Promise<boolean> => clock.run(() => false, ms);
const silence = { code: 1, message: 'timeout' };

test('each is asked for again once per round, however many there are, and not after the room is left', async () => {
    let asked = 0;
    const feed = open('rounds', async () => { asked++; throw silence; });
    for (const text of ['tea', 'cake', 'bread']) feed.remind(Date.now() + HOUR, text);
    await pass(5000);
    assert.equal(asked, 3 * 3);
    feed.close();
    await pass(60_000);
    assert.equal(asked, 3 * 3);
});

test('an answer that comes after the room was left does not undo what was added since', async () => {
    let answer = (): void => {};
    const feed = open('left', () => new Promise((done) => {
        answer = () => done({ data: { id: 'of tea' } });
    }));
    feed.remind(Date.now() + HOUR, 'tea');
    feed.close();
    const again = open('left', async () => ({ data: { id: 'of cake' } }));
    again.remind(Date.now() + 2 * HOUR, 'cake');
    await pass(10);
    answer();
    await pass(10);
    again.close();
    const last = new Room('left', () => me);
    assert.deepEqual(last.reminders.list.value.map(({ text }) => text), ['tea', 'cake']);
    last.close();
});
