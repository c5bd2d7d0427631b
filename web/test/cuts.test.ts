// SPDX-License-Identifier: MIT
/**
 * Two pages in a room, as they are but for what is drawn: the real client, and everything of ours
 * above it. The line breaks at every frame there is, in every way, and at several frames in one
 * run. In the end both hold every message once, in one order, and nothing is left waiting.
 */
import './browser';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Feed } from '../src/net/feed';
import { Link } from '../src/net/link';
import { Room } from '../src/store/room';
import { Clock } from './clock';
import { Gateway, type Break } from './gateway';

const clock = new Clock();
clock.install();

const BREAKS: readonly Break[] = ['before', 'after', 'refused', 'dead', 'up', 'down'];
/** What several silent breaks take to be noticed, with the waits that follow from them, ms. */
const PATIENCE_MS = 240_000;
const BREAKS_IN_ONE = 5;
const SEEDS = process.env.MADANG_TORTURE === '1' ? 5000 : 60;
/** When the pages say how much: at once, and later, be the first break over or not. */
const PORTIONS: readonly (readonly [number, number])[] = [[50, 3], [900, 2], [6000, 2]];

let rooms = 0;

class Page {
    readonly link: Link;
    readonly room: Room;
    readonly feed: Feed;
    readonly said: string[] = [];
    private user = '';

    constructor(readonly name: string, title: string) {
        this.link = new Link(`ws://${name}/`);
        this.room = new Room(title, () => this.me());
        this.feed = new Feed(this.link, this.room);
        this.feed.show();
        this.link.start({ guest: { key: `g-${name}`, name } });
    }

    /** As store/chat.ts learns it. */
    private me() {
        const { clientId } = this.link;
        this.user = this.room.roster.find(clientId)?.user ?? this.user;
        return { user: this.user, client: clientId, name: this.name };
    }

    say(): void {
        const text = `${this.name} ${this.said.length + 1}`;
        this.said.push(text);
        this.feed.send(text);
    }

    get shown(): string[] {
        return this.room.lines.value.map((line) => line.kind === 'gap' ? `[${line.gap}]` : `${line.message.text} ${line.message.state}`);
    }

    /** All that can be seen of it. */
    get whole() {
        const { people, state, history, outbox } = this.room;
        return {
            shown: this.shown, people: people.value.map(({ name }) => name), room: state.value, history: history.value,
            outbox: outbox.items.map(({ text, state: how }) => `${text} ${how}`), phase: this.link.state.value.phase,
        };
    }

    close(): void {
        this.feed.close();
        this.link.client.disconnect();
    }
}

async function run(plan: (step: number) => Break | null, recovers: number): Promise<number> {
    const gateway = new Gateway(plan, recovers);
    gateway.install();
    const title = `cuts-${rooms++}`;
    const pages = ['Ann', 'Ben'].map((name) => new Page(name, title));
    let said = 0;
    for (const [at, count] of PORTIONS) {
        setTimeout(() => {
            for (let i = 0; i < count; i++) for (const page of pages) page.say();
            said++;
        }, at);
    }
    const expected = () => ({
        shown: gateway.stream.map(({ data }) => `${data.text} sent`), people: ['Ann', 'Ben'], room: 'open', history: 'idle',
        outbox: [], phase: 'connected',
    });
    const inStep = (): boolean => said === PORTIONS.length && pages.every(({ whole }) => JSON.stringify(whole) === JSON.stringify(expected()));
    try {
        await clock.run(inStep, PATIENCE_MS);
        for (const page of pages) {
            assert.deepEqual(page.whole, expected(), page.name);
            const order = gateway.stream.map(({ data }) => data.text).filter((text) => text.startsWith(page.name));
            assert.deepEqual(order, page.said, `${page.name}'s own order`);
        }
    } finally {
        for (const page of pages) page.close();
    }
    return gateway.steps;
}

/** Says which breaks it was, where it fails. */
async function broken(breaks: ReadonlyMap<number, Break>, recovers: number): Promise<void> {
    try {
        await run((step) => breaks.get(step) ?? null, recovers);
    } catch (error) {
        const plan = [...breaks].map(([step, how]) => `${how} at frame ${step}`).join(', ');
        throw new Error(`${plan}; recovers ${recovers}: ${(error as Error).message}`, { cause: error });
    }
}

/** Numbers that look random, the same in each run (mulberry32). */
function random(seed: number): () => number {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}

const quiet = await run(() => null, Infinity);

for (const how of BREAKS) {
    test(`a line that breaks at any one frame: ${how}`, async () => {
        for (let step = 1; step <= quiet; step++) await broken(new Map([[step, how]]), Infinity);
    });
}

for (const recovers of [Infinity, 1]) {
    test(`lines that break again and again; ${recovers === Infinity ? 'all' : 'little'} is recovered`, async () => {
        for (let seed = 1; seed <= SEEDS; seed++) {
            const chance = random(seed);
            const breaks = new Map<number, Break>();
            for (let i = 0; i < BREAKS_IN_ONE; i++) breaks.set(1 + Math.floor(chance() * 2 * quiet), BREAKS[Math.floor(chance() * BREAKS.length)]!);
            await broken(breaks, recovers);
        }
    });
}
