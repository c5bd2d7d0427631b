// SPDX-License-Identifier: MIT
import { settled } from './browser';
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { Feed } from '../src/net/feed';
import type { Link } from '../src/net/link';
import { Room } from '../src/store/room';

interface Stored {
    offset: number;
    data: unknown;
    info: { user: string; client: string; connInfo: { name: string } };
}

const me = { user: 'g_me', client: 'c-me', name: 'Me' };
const info = (user: string) => ({ user, client: `c-${user}`, connInfo: { name: user } });

/** A subscription whose gateway is this object: a stream that tests fill, cut and renew. */
class FakeSubscription extends EventEmitter {
    state = 'subscribing';
    epoch = 'a';
    stream: Stored[] = [];
    kept = 0;
    published: { cid: string; text: string }[] = [];
    /** What the next publishes answer with; "ok" when it runs out. */
    answers: ({ code: number; message: string } | 'ok' | 'lost reply')[] = [];
    pages = 0;

    subscribe(): void {}

    get top(): number {
        return this.stream.length;
    }

    put(text: string, user = 'ann', cid = `${this.epoch}${this.top + 1}`): Stored {
        const stored = { offset: this.top + 1, data: { cid, text }, info: info(user) };
        this.stream.push(stored);
        if (this.state === 'subscribed') this.emit('publication', { channel: 'c', ...stored });
        return stored;
    }

    begin(recoverFrom: number | null = null): void {
        this.state = 'subscribed';
        const position = { epoch: this.epoch, offset: recoverFrom ?? this.top };
        this.emit('subscribed', {
            wasRecovering: recoverFrom !== null, recovered: recoverFrom !== null, streamPosition: position,
        });
        for (const stored of this.stream.slice(recoverFrom ?? this.top)) this.emit('publication', { channel: 'c', ...stored });
    }

    cut(): void {
        this.state = 'subscribing';
        this.emit('subscribing', { code: 1, reason: 'transport closed' });
    }

    async history({ limit, since }: { limit: number; since?: { offset: number } }) {
        this.pages++;
        const before = since?.offset ?? Infinity;
        const publications = this.stream.filter((s) => s.offset < before && s.offset > this.kept).reverse().slice(0, limit);
        return { publications, epoch: this.epoch, offset: this.top };
    }

    async presence() {
        return { clients: { 'c-ann': { ...info('ann'), client: 'c-ann' } } };
    }

    async publish(data: { cid: string; text: string }) {
        this.published.push(data);
        const answer = this.answers.shift() ?? 'ok';
        if (typeof answer === 'object') throw answer;
        const held = this.stream.some((s) => (s.data as { cid: string }).cid === data.cid);
        if (!held) this.put(data.text, 'g_me', data.cid);
        if (answer === 'lost reply') throw { code: 1, message: 'timeout' };
        return {};
    }
}

let rooms = 0;

function open(): { feed: Feed; room: Room; gateway: FakeSubscription; held: { value: boolean } } {
    const gateway = new FakeSubscription();
    const client = { newSubscription: () => gateway, removeSubscription: () => {}, rpc: async () => ({}) };
    const room = new Room(`feed-${rooms++}`, () => me);
    const held = { value: false };
    const state = { value: { phase: 'connected' } };
    const feed = new Feed({ client, held, state } as unknown as Link, room);
    feed.show();
    return { feed, room, gateway, held };
}

async function shown({ room }: { room: Room }): Promise<string[]> {
    await settled();
    return room.lines.value.map((line) => (line.kind === 'gap' ? `[${line.gap}]` : line.message.text));
}

const numbers = (from: number, to: number): string[] => [...Array(to - from + 1).keys()].map((i) => `n${from + i}`);
const fill = (gateway: FakeSubscription, from: number, to: number): void => {
    for (const text of numbers(from, to)) gateway.put(text);
};

/** The first three are shown; then the line is cut, and the room goes on up to `to`. */
async function cutThen(gateway: FakeSubscription, to: number): Promise<void> {
    fill(gateway, 1, 3);
    gateway.begin();
    await settled();
    gateway.cut();
    fill(gateway, 4, to);
}

test('opening a room loads its newest page, and older ones on demand until the start', async () => {
    const { feed, room, gateway } = open();
    fill(gateway, 1, 120);
    gateway.begin();
    assert.deepEqual(await shown({ room }), numbers(71, 120));
    await feed.loadOlder();
    await feed.loadOlder();
    assert.deepEqual(await shown({ room }), numbers(1, 120));
    assert.equal(room.stream.olderThan, null);
    assert.deepEqual(room.people.value.map((person) => person.name), ['ann']);
    feed.close();
});

test('a recovered outage asks for no history and shows nothing twice', async () => {
    const { feed, room, gateway } = open();
    await cutThen(gateway, 6);
    const pages = gateway.pages;
    gateway.begin(3);
    assert.deepEqual(await shown({ room }), numbers(1, 6));
    assert.equal(gateway.pages, pages);
    feed.close();
});

test('an outage that cannot be recovered is stitched from history', async () => {
    const { feed, room, gateway } = open();
    await cutThen(gateway, 150);
    gateway.begin();
    assert.deepEqual(await shown({ room }), numbers(1, 150));
    feed.close();
});

test('history that broke off is asked for again, though what was missed since is recovered', async () => {
    const { feed, room, gateway } = open();
    await cutThen(gateway, 20);
    const answering = gateway.history.bind(gateway);
    gateway.history = async () => { throw { code: 11, message: 'connection closed' }; };
    gateway.begin();
    gateway.cut();
    gateway.history = answering;
    fill(gateway, 21, 22);
    gateway.begin(20);
    assert.deepEqual(await shown({ room }), numbers(1, 22));
    feed.close();
});

test('a hole too large to close by itself stays visible and can be closed by hand', async () => {
    const { feed, room, gateway } = open();
    await cutThen(gateway, 400);
    gateway.begin();
    assert.deepEqual(await shown({ room }), [...numbers(1, 3), '[hole]', ...numbers(101, 400)]);
    while (room.stream.holes().length > 0) await feed.fillGap(room.stream.holes()[0]!.before);
    assert.deepEqual(await shown({ room }), numbers(1, 400));
    feed.close();
});

test('what history does not hold any more is shown as lost', async () => {
    const { feed, room, gateway } = open();
    await cutThen(gateway, 20);
    gateway.kept = 10;
    gateway.begin();
    assert.deepEqual(await shown({ room }), [...numbers(1, 3), '[lost]', ...numbers(11, 20)]);
    feed.close();
});

test('a restarted gateway: a break, the new epoch from its beginning, the unsent sent once', async () => {
    const { feed, room, gateway } = open();
    gateway.put('before');
    gateway.begin();
    await settled();
    gateway.cut();
    feed.send('mine');
    gateway.epoch = 'b';
    gateway.stream = [];
    for (const text of numbers(1, 60)) gateway.put(text);
    gateway.begin();
    assert.deepEqual(await shown({ room }), ['before', '[break]', ...numbers(1, 60), 'mine']);
    assert.equal(gateway.published.length, 1);
    assert.equal(room.outbox.items.length, 0);
    feed.close();
});

test('an unanswered publish that arrived is not sent again after recovery', async () => {
    const { feed, room, gateway } = open();
    gateway.begin();
    await settled();
    gateway.answers = ['lost reply'];
    feed.send('once');
    await settled();
    gateway.cut();
    gateway.begin(gateway.top);
    assert.deepEqual(await shown({ room }), ['once']);
    assert.equal(gateway.published.length, 1);
    feed.close();
});

test('a publish that met a closed connection is sent again with the same cid, in order', async () => {
    const { feed, room, gateway } = open();
    gateway.begin();
    await settled();
    gateway.answers = [{ code: 11, message: 'connection closed' }];
    feed.send('first');
    feed.send('second');
    await settled();
    gateway.cut();
    gateway.begin(0);
    assert.deepEqual(await shown({ room }), ['first', 'second']);
    assert.deepEqual(gateway.published.map((data) => data.text), ['first', 'first', 'second']);
    assert.equal(gateway.published[0]!.cid, gateway.published[1]!.cid);
    feed.close();
});

test('a refusal fails one message; a retry looks in history before it sends', async () => {
    const { feed, room, gateway } = open();
    gateway.begin();
    await settled();
    gateway.answers = [{ code: 103, message: 'permission denied' }];
    feed.send('no');
    feed.send('yes');
    assert.deepEqual(await shown({ room }), ['yes', 'no']);
    const failed = room.outbox.items[0]!;
    assert.equal(failed.failure?.code, 103);
    const pages = gateway.pages;
    await feed.resend(failed.cid);
    assert.ok(gateway.pages > pages);
    assert.deepEqual(await shown({ room }), ['yes', 'no']);
    assert.equal(room.outbox.items.length, 0);
    feed.close();
});

test('a temporary error of the gateway is tried again by itself', async () => {
    const { feed, room, gateway } = open();
    gateway.begin();
    await settled();
    gateway.answers = [{ code: 111, message: 'too many requests' }];
    feed.send('later');
    await settled();
    assert.equal(room.outbox.items[0]?.state, 'queued');
    await new Promise((done) => setTimeout(done, 1200));
    assert.deepEqual(await shown({ room }), ['later']);
    assert.equal(gateway.published.length, 2);
    feed.close();
});

test('while the gateway says "later" the link is held, until it does its work again', async () => {
    const { feed, room, gateway, held } = open();
    gateway.begin();
    await settled();
    gateway.answers = [{ code: 100, message: 'internal server error' }];
    feed.send('wait');
    await settled();
    assert.equal(held.value, true);
    await new Promise((done) => setTimeout(done, 1200));
    assert.deepEqual(await shown({ room }), ['wait']);
    assert.equal(held.value, false);
    feed.close();
});

test('a page of the old epoch that comes late is dropped', async () => {
    const { feed, room, gateway } = open();
    fill(gateway, 1, 3);
    const late = gateway.history.bind(gateway);
    let release = (): void => {};
    gateway.history = async (wanted) => {
        const answer = await late(wanted);
        await new Promise<void>((done) => { release = done; });
        return answer;
    };
    gateway.begin();
    await settled();
    gateway.cut();
    gateway.history = late;
    gateway.epoch = 'b';
    gateway.stream = [];
    gateway.put('new');
    gateway.begin();
    release();
    assert.deepEqual(await shown({ room }), ['new']);
    assert.equal(room.history.value, 'idle');
    feed.close();
});

test('a room that may not be read says so', () => {
    const { feed, room, gateway } = open();
    gateway.state = 'unsubscribed';
    gateway.emit('unsubscribed', { code: 103, reason: 'permission denied' });
    assert.equal(room.state.value, 'refused');
    assert.equal(room.problem.value?.code, 103);
    feed.close();
});
