// SPDX-License-Identifier: MIT
/**
 * Turns lines into rows: adds day separators and says which message begins a run of one author.
 * Also the window of lines that are in the document: everything is held, a part is rendered.
 */
import { authorKey, type Message } from './message';
import type { Line } from './stream';

export type Row =
    | { readonly kind: 'day'; readonly key: string; readonly time: number }
    | { readonly kind: 'message'; readonly key: string; readonly message: Message; readonly first: boolean }
    | Extract<Line, { kind: 'gap' }>;

/** A run ends after this much silence, ms. */
const RUN_MS = 5 * 60_000;

/** Rows for lines [low, high); looks at the line before `low`, so rows do not depend on the window. */
export function rowsOf(lines: readonly Line[], low: number, high: number): Row[] {
    const rows: Row[] = [];
    let previous = low > 0 ? lines[low - 1] : undefined;
    for (let i = low; i < high; i++) {
        const line = lines[i]!;
        if (line.kind === 'gap') {
            rows.push(line);
        } else {
            const before = previous?.kind === 'message' ? previous.message : null;
            const newDay = line.message.time > 0 && dayBegins(lines, i);
            if (newDay) rows.push({ kind: 'day', key: `day-${line.key}`, time: line.message.time });
            const first = newDay || before === null || !continues(before, line.message);
            rows.push({ kind: 'message', key: line.key, message: line.message, first });
        }
        previous = line;
    }
    return rows;
}

/** Whether the message at `index` is the first of its day, looking past gaps. */
function dayBegins(lines: readonly Line[], index: number): boolean {
    const line = lines[index]!;
    for (let i = index - 1; i >= 0; i--) {
        const before = lines[i]!;
        if (before.kind !== 'message' || before.message.time === 0) continue;
        return line.kind === 'message' && !sameDay(before.message.time, line.message.time);
    }
    return true;
}

function continues(before: Message, message: Message): boolean {
    return authorKey(before.author) === authorKey(message.author) &&
        before.author.name === message.author.name &&
        Math.abs(message.time - before.time) < RUN_MS;
}

export function sameDay(a: number, b: number): boolean {
    return dayOf(a) === dayOf(b);
}

/** The day asked for last; nearly every question is about that one again. */
let known = { from: 0, to: 0 };

/** When the day of `time` began. */
function dayOf(time: number): number {
    if (time < known.from || time >= known.to) {
        const date = new Date(time);
        const midnight = (later: number): number => new Date(date.getFullYear(), date.getMonth(), date.getDate() + later).getTime();
        known = { from: midnight(0), to: midnight(1) };
    }
    return known.from;
}

export const WINDOW = 300;
export const SLIDE = 100;

export interface Range {
    readonly low: number;
    readonly high: number;
}

/**
 * The end of the list, for somebody who follows it. Its beginning moves in slides, not with each
 * message: rows above the new one then stay where they are, and nothing is laid out again.
 */
export function tailRange(count: number): Range {
    return { low: Math.floor(Math.max(0, count - WINDOW) / SLIDE) * SLIDE, high: count };
}

/** A window that begins at the line with `key`, or at the tail if that line is gone. */
export function rangeFrom(lines: readonly Line[], key: string | null): Range {
    const low = key === null ? -1 : lines.findIndex((line) => line.key === key);
    if (low < 0) return tailRange(lines.length);
    return { low, high: Math.min(lines.length, low + WINDOW + SLIDE) };
}

/** Moves a window by one slide, up (older) or down; null if it is at that end already. */
export function slide(range: Range, count: number, up: boolean): Range | null {
    if (up ? range.low === 0 : range.high >= count) return null;
    const most = tailRange(count).low;
    const low = up ? Math.max(0, range.low - SLIDE) : Math.min(most, range.low + SLIDE);
    return { low, high: Math.min(count, low + WINDOW + SLIDE) };
}
