// SPDX-License-Identifier: MIT
/** What no answer came for is asked for again, on a clock that is turned. */
import './browser';
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { Feed } from '../src/net/feed';
import { Followed } from '../src/net/followed';
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

/** Pauses double until they are long; a part of each is random. */
function assertGrowing(times: readonly number[]): void {
    const pauses = times.slice(1).map((at, i) => at - times[i]!);
    pauses.forEach((pause, i) => {
        const most = Math.min(30_000, 2000 * 2 ** i);
        assert.ok(pause >= most / 2 && pause <= most + 100, `pause ${i} of ${pauses}`);
    });
    assert.ok(new Set(pauses).size > 1, `${pauses}`);
}

test('reminders are asked for again in rounds, after pauses that grow, and not after the room is left', async () => {
    const rounds = new Map<number, number>();
    const feed = open('rounds', async () => {
        rounds.set(Date.now(), (rounds.get(Date.now()) ?? 0) + 1);
        throw silence;
    });
    for (const text of ['tea', 'cake', 'bread']) feed.remind(Date.now() + HOUR, text);
    await pass(240_000);
    assert.ok(rounds.size >= 10 && rounds.size <= 20, `${rounds.size} rounds`);
    assert.deepEqual(new Set(rounds.values()), new Set([3]), 'each once per round');
    assertGrowing([...rounds.keys()]);
    feed.close();
    const before = rounds.size;
    await pass(240_000);
    assert.equal(rounds.size, before);
});

/** A room of one message, with a history that answers, or fails, as `history` does. */
class Subscription extends EventEmitter {
    state = 'subscribing';
    readonly asked: number[] = [];
    failure: unknown = silence;
    subscribe(): void {}
    begin(): void {
        this.state = 'subscribed';
        this.emit('subscribed', { wasRecovering: false, recovered: false, streamPosition: { epoch: 'e', offset: 1 } });
    }
    async history() {
        this.asked.push(Date.now());
        if (this.failure !== null) throw this.failure;
        const info = { user: 'ann', client: 'c-ann', connInfo: { name: 'Ann' } };
        return { publications: [{ offset: 1, data: { cid: 'c', text: 'hello' }, info }], epoch: 'e', offset: 1 };
    }
    async presence() {
        return { clients: {} };
    }
}

function opened(title: string): { feed: Feed; gateway: Subscription } {
    const gateway = new Subscription();
    const client = { newSubscription: () => gateway, removeSubscription: () => {}, rpc: async () => ({}) };
    const link = { client, held: { value: false }, state: { value: { phase: 'connected' } } };
    const feed = new Feed(link as unknown as Link, new Room(title, () => me));
    feed.show();
    gateway.begin();
    return { feed, gateway };
}

test('history that does not come is asked for again, after pauses that grow, until it comes', async () => {
    const { feed, gateway } = opened('slow history');
    await pass(100_000);
    assert.equal(feed.room.history.value, 'failed');
    assert.ok(gateway.asked.length >= 6, `${gateway.asked.length} times`);
    assertGrowing(gateway.asked);
    gateway.failure = null;
    const { length } = gateway.asked;
    await pass(240_000);
    assert.equal(gateway.asked.length, length + 1);
    assert.equal(feed.room.history.value, 'idle');
    assert.deepEqual(feed.room.lines.value.map((line) => line.kind === 'message' && line.message.text), ['hello']);
    feed.close();
});

test('history is asked for at once by Retry and when the room is opened again, and not twice', async () => {
    const { feed, gateway } = opened('retried history');
    await pass(900);
    await feed.reload();
    feed.hide();
    feed.show();
    await pass(900);
    assert.equal(gateway.asked.length, 3);
    gateway.failure = null;
    await feed.reload();
    await pass(240_000);
    assert.equal(gateway.asked.length, 4);
    feed.close();
});

test('history that is refused is not asked for again, nor that of a room that was left', async () => {
    const refused = opened('refused history');
    refused.gateway.failure = { code: 106, message: 'limit exceeded' };
    const left = opened('left history');
    await pass(10);
    left.feed.close();
    const { asked } = refused.gateway;
    await pass(60_000); // what failed before it was refused
    const { length } = asked;
    await pass(240_000);
    assert.equal(asked.length, length);
    assert.equal(refused.feed.room.history.value, 'failed');
    assert.equal(left.gateway.asked.length, 1);
    refused.feed.close();
});

test('the list of followed rooms is asked for until it comes', async () => {
    const asked: number[] = [];
    const client = Object.assign(new EventEmitter(), {
        rpc: async () => {
            asked.push(Date.now());
            if (asked.length < 5) throw silence;
            return { data: { rooms: [{ room: 'tea', unread: 3, top: { epoch: 'e', offset: 9 } }] } };
        },
    });
    const room = new Room('tea', () => me);
    const link = { client, state: { value: { phase: 'connected' } } } as unknown as Link;
    new Followed(link, () => [room]);
    client.emit('connected', {});
    await pass(240_000);
    assert.equal(asked.length, 5);
    assert.equal(room.followed.value, true);
    room.close();
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
