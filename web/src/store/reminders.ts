// SPDX-License-Identifier: MIT
/**
 * What I have asked to be said in a room later, by `/remind in 10m text` or `/remind 09:00 text`,
 * as long as it can be undone. The gateway keeps the job; here is only what the page shows of it,
 * in all tabs of this browser, which are one user.
 */
import { signal } from '@preact/signals';
import { load, save, watch } from '../base/persist';
import type { Failure } from './message';

export interface Reminder {
    /** By which the gateway knows it when it is asked again. */
    readonly key: string;
    /** Of the job; null until the gateway has it. */
    readonly id: string | null;
    readonly text: string;
    /** When it is due, ms. */
    readonly at: number;
    readonly state: 'setting' | 'set' | 'undoing' | 'failed';
    readonly failure: Failure | null;
}

export type Parsed = { readonly at: number; readonly text: string } | 'usage' | null;

const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const COMMAND = /^\/remind(?:\s+([\s\S]*))?$/u;
const IN = /^in\s+((?:\d{1,6}\s*[smhd]\s*)+)(?=\s)([\s\S]+)$/u;
const SPAN = /(\d{1,6})\s*([smhd])/gu;
const AT = /^(\d{1,2}):(\d{2})\s+([\s\S]+)$/u;
/** What a Date can hold. */
const LATEST_MS = 8.64e15;
/** A row stays for a moment after its time: the message takes its place. */
const LINGER_MS = 1500;

/** Null: not such a command. A time of the day is the next one, by the clock of this machine. */
export function parseReminder(typed: string, now: number): Parsed {
    const command = COMMAND.exec(typed);
    if (!command) return null;
    const words = (command[1] ?? '').trim();
    const relative = IN.exec(words);
    if (relative) return relativeTo(now, relative[1]!, relative[2]!.trim());
    const absolute = AT.exec(words);
    return absolute ? onClock(now, Number(absolute[1]), Number(absolute[2]), absolute[3]!.trim()) : 'usage';
}

function relativeTo(now: number, spans: string, text: string): Parsed {
    let ms = 0;
    for (const [, count, unit] of spans.matchAll(SPAN)) ms += Number(count) * UNITS[unit!]!;
    return ms > 0 && now + ms <= LATEST_MS && text !== '' ? { at: now + ms, text } : 'usage';
}

function onClock(now: number, hours: number, minutes: number, text: string): Parsed {
    if (hours > 23 || minutes > 59 || text === '') return 'usage';
    const then = new Date(now);
    then.setHours(hours, minutes, 0, 0);
    if (then.getTime() <= now) then.setDate(then.getDate() + 1);
    return { at: then.getTime(), text };
}

export class Reminders {
    /** What failed first, since somebody waits for it; then by time. */
    readonly list = signal<readonly Reminder[]>([]);
    private timer: ReturnType<typeof setTimeout> | undefined;
    private closed = false;
    /** Without a storage, what is here is all there is. */
    private kept = true;
    private readonly unwatch: () => void;

    constructor(private readonly title: string) {
        this.unwatch = watch(this.key, () => this.show(this.current()));
        this.set(this.current());
    }

    private get key(): string {
        return `reminders.${this.title}`;
    }

    add(reminder: Reminder): void {
        this.set([...this.current(), reminder]);
    }

    change(key: string, change: Partial<Reminder>): void {
        this.set(this.current().map((one) => (one.key === key ? { ...one, ...change } : one)));
    }

    remove(key: string): void {
        this.set(this.current().filter((one) => one.key !== key));
    }

    /**
     * The room is left; what the gateway has is said all the same. Whoever comes back goes on with what is
     * stored, so an answer that comes only now changes nothing: it is asked for again then.
     */
    close(): void {
        clearTimeout(this.timer);
        this.unwatch();
        this.closed = true;
        this.list.value = [];
    }

    /** What all tabs have, in the state that it has here, and what failed here. */
    private current(): Reminder[] {
        const own = this.list.value;
        if (!this.kept) return [...own];
        const stored = load('local', this.key);
        const failed = own.filter(({ state }) => state === 'failed');
        const all = Array.isArray(stored) ? stored.filter(isReminder).map(restored) : [];
        const others = all.filter((one) => !failed.some(({ key }) => key === one.key));
        return [...failed, ...others.map((one) => own.find(({ key, id }) => key === one.key && id === one.id) ?? one)];
    }

    private set(list: readonly Reminder[]): void {
        if (this.closed) return;
        this.show(list);
        const kept = this.list.value.filter((one) => one.state !== 'failed').map(({ key, id, text, at }) => ({ key, id, text, at }));
        this.kept = save('local', this.key, kept.length > 0 ? kept : null);
    }

    private show(list: readonly Reminder[]): void {
        const now = Date.now();
        const current = list.filter((one) => isOpen(one) || one.at + LINGER_MS > now);
        this.list.value = current.sort((a, b) => Number(b.state === 'failed') - Number(a.state === 'failed') || a.at - b.at);
        clearTimeout(this.timer);
        const next = current.find((one) => !isOpen(one));
        // Timers hold 24 days; it looks again then.
        if (next) this.timer = setTimeout(() => this.set(this.current()), Math.min(next.at + LINGER_MS - now, 2 ** 31 - 1));
    }
}

/** Its row stays whatever the time is: nobody knows yet what became of it, or it is told. */
function isOpen(one: Reminder): boolean {
    return one.state === 'failed' || one.state === 'setting';
}

function restored(one: Reminder): Reminder {
    return { ...one, state: one.id === null ? 'setting' : 'set', failure: null };
}

function isReminder(value: unknown): value is Reminder {
    const one = value as Partial<Reminder> | null;
    return typeof one?.key === 'string' && (one.id === null || typeof one.id === 'string') && typeof one.text === 'string' && typeof one.at === 'number';
}
