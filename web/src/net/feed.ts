// SPDX-License-Identifier: MIT
/**
 * Keeps one room in step with the gateway: its subscription, its history, who is there, and the
 * sending of what waits in its outbox.
 *
 * Every subscription has a number. An answer that belongs to an earlier one is dropped: its
 * epoch may be over, and the new subscription asks again by itself.
 */
import type { Subscription, SubscribedContext } from 'centrifuge';
import { randomId } from '../base/random';
import type { Outgoing } from '../store/outbox';
import type { Reminder } from '../store/reminders';
import type { Room } from '../store/room';
import { NOTICE_LEAST_MS, NOTICE_MS } from '../store/typists';
import { Again } from './again';
import { codeOf, isUnknown, LATER, messageOf, NOT_AVAILABLE } from './failure';
import type { Link } from './link';
import { authorOf, readPublication } from './publication';

const PAGE = 50;
/** Pages fetched by themselves to close a hole; past that the gap row has a button. */
const STITCH_PAGES = 6;
/** Pages searched for a message of mine before it is sent again by hand. */
const SEARCH_PAGES = 3;
/** Presence of the open room is asked again this often, in case pushes went missing. */
const PRESENCE_MS = 60_000;
/** In a room with more people the answer is too large to ask for again and again. */
const PRESENCE_MOST = 200;

/** A reminder is not asked for again when it is so late: the gateway knows its key for an hour. */
const LATE_MS = 1_800_000;

export class Feed {
    private readonly subscription: Subscription;
    private generation = 0;
    private open = false;
    private loaded = false;
    /** History was wanted and has not all come: it broke off, and the next subscription goes on. */
    private behind = false;
    private typingOff = false;
    private typingSent = 0;
    private typingPause = NOTICE_MS;
    private presenceTimer: ReturnType<typeof setInterval> | undefined;
    private pumpTimer: ReturnType<typeof setTimeout> | undefined;
    private readonly loadAgain = new Again();
    private readonly remindAgain = new Again();
    private readonly reminding = new Set<string>();

    constructor(private readonly link: Link, readonly room: Room) {
        this.subscription = link.client.newSubscription(room.channel, {
            joinLeave: true, positioned: true, recoverable: true,
        });
        const events = this.subscription;
        events.on('subscribed', (ctx) => this.subscribed(ctx));
        events.on('subscribing', () => this.interrupted());
        events.on('unsubscribed', (ctx) => this.ended(ctx.code, ctx.reason));
        events.on('error', (ctx) => this.answered(ctx.error.code));
        events.on('publication', (ctx) => room.publication(readPublication(ctx), true));
        events.on('join', (ctx) => this.moved(() => room.roster.joined(authorOf(ctx.info))));
        events.on('leave', (ctx) => this.moved(() => room.roster.left(authorOf(ctx.info))));
        this.subscription.subscribe();
    }

    /** The room is on screen: now its history and its people are wanted. */
    show(): void {
        this.open = true;
        if (this.isLive && (!this.loaded || this.room.history.value === 'failed')) void this.catchUp();
        if (this.isLive) void this.askPresence();
        this.presenceTimer ??= setInterval(() => {
            if (this.room.people.value.length <= PRESENCE_MOST) void this.askPresence();
        }, PRESENCE_MS);
    }

    hide(): void {
        this.open = false;
        clearInterval(this.presenceTimer);
        this.presenceTimer = undefined;
    }

    close(): void {
        this.hide();
        clearTimeout(this.pumpTimer);
        this.loadAgain.stop();
        this.remindAgain.stop();
        this.generation++;
        this.link.client.removeSubscription(this.subscription);
        this.room.close();
    }

    /** Asks for a refused room once more. */
    reopen(): void {
        this.room.state.value = 'opening';
        this.subscription.subscribe();
    }

    send(text: string): void {
        this.room.send(text);
        this.typingPause = NOTICE_LEAST_MS; // it ended the last notice
        this.pump();
    }

    /** By hand: looks first whether the message arrived after all. */
    async resend(cid: string): Promise<void> {
        if (this.isLive && this.room.history.value !== 'unavailable') await this.search(cid);
        this.room.outbox.retry(cid, Date.now());
        this.room.changed();
        this.pump();
    }

    /** Tells the others that I am typing; to be called on every change of the text. */
    typing(): void {
        const now = Date.now();
        if (this.typingOff || !this.isLive || now - this.typingSent < this.typingPause) return;
        this.typingSent = now;
        this.typingPause = NOTICE_MS;
        this.link.client.rpc('rooms.typing', { room: this.room.channel }).catch((error: unknown) => {
            // A notice lost is no loss; where there are none, asking again makes no sense.
            if (NOT_AVAILABLE.has(codeOf(error))) this.typingOff = true;
        });
    }

    /** Has the gateway say it for me at that time. */
    remind(at: number, text: string): void {
        this.room.reminders.add({ key: randomId(8), id: null, text, at, state: 'setting', failure: null });
        this.setReminders();
    }

    /** Without an answer it stays, and can be undone again; what is gone was said, or undone elsewhere. */
    async undoReminder(key: string): Promise<void> {
        const { reminders } = this.room;
        const reminder = reminders.list.value.find((one) => one.key === key);
        if (!reminder?.id) return;
        reminders.change(key, { state: 'undoing' });
        try {
            await this.link.client.rpc('jobs.cancel', { id: reminder.id });
            reminders.remove(key);
        } catch {
            reminders.change(key, { state: 'set' });
        }
    }

    /** Asks for those of which no answer came, now and when it is connected again. */
    private setReminders(): void {
        this.remindAgain.stop();
        if (this.link.state.value.phase !== 'connected') return;
        for (const one of this.room.reminders.list.value) {
            if (one.state !== 'setting' || this.reminding.has(one.key)) continue;
            if (Date.now() < one.at + LATE_MS) void this.setReminder(one);
            else this.room.reminders.change(one.key, { state: 'failed', failure: { code: 'stale', message: '' } });
        }
    }

    /** The gateway knows the key, so a reminder that is asked for twice is set once. */
    private async setReminder({ key, at, text }: Reminder): Promise<void> {
        const { reminders, channel } = this.room;
        const data = { channel, data: { text: `⏰ ${text}` } };
        this.reminding.add(key);
        try {
            const answer = await this.link.client.rpc('jobs.submit', { kind: 'publish', key, delay_ms: Math.max(1, at - Date.now()), data });
            reminders.change(key, { id: (answer.data as { id: string }).id, state: 'set' });
            this.remindAgain.reset();
        } catch (error) {
            const code = codeOf(error);
            if (isUnknown(code)) this.remindAgain.later(() => this.setReminders());
            else reminders.change(key, { state: 'failed', failure: { code, message: messageOf(error) } });
        }
        this.reminding.delete(key);
    }

    loadOlder(): Promise<void> {
        const before = this.isLoading ? null : this.room.stream.olderThan;
        return before === null ? Promise.resolve() : this.load(() => this.page(before));
    }

    /** After a failed load, by hand or by itself: begins again at the newest page. */
    async reload(): Promise<void> {
        if (this.isLive && !this.isLoading) await this.catchUp();
    }

    fillGap(before: number): Promise<void> {
        return this.isLoading ? Promise.resolve() : this.load(() => this.page(before));
    }

    private get isLive(): boolean {
        return this.subscription.state === 'subscribed';
    }

    private subscribed(ctx: SubscribedContext): void {
        this.generation++;
        this.answered(0);
        this.typingOff = false;
        this.typingSent = 0;
        this.room.history.value = 'idle';
        const recovered = ctx.wasRecovering && ctx.recovered;
        const at = ctx.streamPosition;
        this.room.subscribed(at ? { epoch: at.epoch, offset: at.offset } : null, recovered);
        this.room.outbox.hurry();
        // What was recovered follows in this very turn; the outbox must look at it first.
        if (recovered && !this.behind) queueMicrotask(() => this.pump());
        else if (this.open || this.loaded) void this.catchUp();
        else this.pump();
        if (this.open) void this.askPresence();
        this.loadAgain.reset();
        this.remindAgain.reset();
        this.setReminders();
    }

    private interrupted(): void {
        this.generation++;
        clearTimeout(this.pumpTimer);
        this.loadAgain.stop();
        if (this.isLoading) this.room.history.value = 'idle';
        this.room.disconnected();
    }

    private ended(code: number, reason: string): void {
        this.interrupted();
        this.room.roster.clear();
        this.room.rosterChanged();
        this.room.problem.value = { code, message: reason };
        this.room.state.value = 'refused';
    }

    /** What an answer says of the gateway itself; 0: it did what it was asked. */
    private answered(code: number): void {
        if (code === 0 || code === LATER) this.link.held.value = code === LATER;
    }

    private moved(change: () => void): void {
        change();
        this.room.rosterChanged();
    }

    /** Loads the newest page and closes the hole between it and what was held, then sends. */
    private async catchUp(): Promise<void> {
        this.loaded = true;
        this.behind = true;
        const generation = this.generation;
        await this.load(() => this.stitch());
        if (generation !== this.generation) return;
        this.behind = this.room.history.value === 'failed';
        this.pump();
    }

    private async stitch(): Promise<void> {
        if (!(await this.page(null))) return;
        for (let i = 1; i < STITCH_PAGES; i++) {
            const hole = this.room.stream.holes().at(-1);
            const before = hole && !hole.lost ? hole.before : this.behindBreak();
            if (before === null || !(await this.page(before))) return;
        }
    }

    /** After a change of epoch the new one is loaded down to its beginning. */
    private behindBreak(): number | null {
        return this.room.stream.broken ? this.room.stream.olderThan : null;
    }

    /** Runs one load at a time and shows how it goes. */
    private async load(work: () => Promise<void | boolean>): Promise<void> {
        const { history } = this.room;
        if (history.value === 'unavailable') return;
        const generation = this.generation;
        this.loadAgain.stop();
        history.value = 'loading';
        try {
            await work();
            if (generation !== this.generation) return;
            this.loadAgain.reset();
            if (this.isLoading) history.value = 'idle';
        } catch (error) {
            if (generation === this.generation) this.loadFailed(codeOf(error));
        }
    }

    private loadFailed(code: number): void {
        this.room.history.value = NOT_AVAILABLE.has(code) ? 'unavailable' : 'failed';
        if (isUnknown(code)) this.loadAgain.later(() => void this.reload());
    }

    private get isLoading(): boolean {
        return this.room.history.value === 'loading';
    }

    /** One page down from `before` (null: from the top). False if the answer came too late. */
    private async page(before: number | null): Promise<boolean> {
        const { stream } = this.room;
        const generation = this.generation;
        const since = before === null ? {} : { since: { offset: before, epoch: stream.epoch ?? '' } };
        const result = await this.subscription.history({ limit: PAGE, reverse: true, ...since });
        if (generation !== this.generation || result.epoch !== stream.epoch) return false;
        for (const publication of result.publications) this.room.publication(readPublication(publication), false);
        if (result.publications.length === 0) stream.reachedEnd(before ?? stream.top + 1);
        this.room.changed();
        return true;
    }

    private async search(cid: string): Promise<void> {
        let before: number | null = null;
        await this.load(async () => {
            for (let i = 0; i < SEARCH_PAGES && this.room.outbox.find(cid); i++) {
                if (!(await this.page(before))) return;
                before = this.room.stream.olderThan;
                if (before === null) return;
            }
        });
    }

    private async askPresence(): Promise<void> {
        if (!this.isLive) return;
        const { roster } = this.room;
        const generation = this.generation;
        roster.asking();
        try {
            const { clients } = await this.subscription.presence();
            if (generation !== this.generation) return;
            roster.answered(Object.values(clients).map(authorOf));
            this.room.rosterChanged();
        } catch {
            // Joins and leaves still come, and the next subscription or minute asks again.
            if (generation === this.generation) roster.unanswered();
        }
    }

    /** Publishes the next waiting message, if it is its turn. */
    private pump(): void {
        clearTimeout(this.pumpTimer);
        if (!this.isLive) return;
        const { outbox } = this.room;
        const now = Date.now();
        const item = outbox.next(now);
        const wakeAt = outbox.wakeAt();
        if (item) void this.publish(item);
        else if (wakeAt !== null) this.pumpTimer = setTimeout(() => this.pump(), Math.max(10, wakeAt - now));
        this.room.changed();
    }

    private async publish(item: Outgoing): Promise<void> {
        const { outbox } = this.room;
        outbox.begin(item.cid);
        try {
            await this.subscription.publish({ cid: item.cid, text: item.text });
            outbox.acknowledged(item.cid);
            this.answered(0);
        } catch (error) {
            const code = codeOf(error);
            if (code !== 0) this.answered(code);
            if (isUnknown(code)) outbox.unknown(item.cid, Date.now());
            else outbox.refused(item.cid, { code, message: messageOf(error) });
        }
        this.pump();
        this.room.changed();
    }
}
