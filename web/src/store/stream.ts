// SPDX-License-Identifier: MIT
/**
 * What the page holds of one room's stream: publications by position, each once.
 *
 * A position is (epoch, offset). Offsets of different epochs are never compared: every epoch is
 * an era of its own, and between two eras messages may be missing. Within an era offsets count
 * up by one, so a hole is simply where two neighbours are not consecutive, or where the last
 * one is below the top that the gateway named. Holes are never stored: filling one makes it go
 * away. Messages without an offset (a room without history, or a sent message whose publication
 * was lost) take a place between two offsets and never make a hole.
 *
 * Pure logic: no network, no clock, no DOM.
 */
import { authorKey, type Author, type Message } from './message';

export interface Position {
    readonly epoch: string;
    readonly offset: number;
}

/** One publication held. `at` orders; `message` is null if it has no row of its own. */
interface Held {
    readonly at: number;
    readonly offset: number | null;
    message: Message | null;
}

interface Era {
    readonly id: number;
    epoch: string;
    held: Held[];
    /** Offsets held, for a look-up in constant time. */
    offsets: Set<number>;
    /** The highest offset known to exist. */
    top: number;
    /** Nothing below this offset can be read any more. */
    floor: number;
}

/** Offsets above `after` and below `before` are not held. `lost`: they cannot be read any more. */
export interface Hole {
    readonly after: number;
    readonly before: number;
    readonly lost: boolean;
}

/**
 * What the log shows, top to bottom. Gaps: a hole can be filled from history, back from `before`;
 * what is lost cannot; a break lies between two epochs (`before` is 0 if nothing is to be had).
 */
export type Line =
    | { readonly kind: 'message'; readonly key: string; readonly message: Message }
    | { readonly kind: 'gap'; readonly key: string; readonly gap: 'hole' | 'lost' | 'break'; readonly before: number };

/** What became of a publication offered to the stream. */
export type Taken = 'new' | 'held' | 'repeat';

/** Space between two places that have no offset. Small enough for a million of them. */
const STEP = 1 / (1 << 20);

export class Stream {
    private eras: Era[] = [];
    private nextEra = 1;
    /** Author and cid of every message held, over all eras: a resent message shows once. */
    private readonly cids = new Set<string>();

    /** The epoch that live publications belong to; null before the first subscription. */
    get epoch(): string | null {
        return this.eras.at(-1)?.epoch ?? null;
    }

    get top(): number {
        return this.eras.at(-1)?.top ?? 0;
    }

    /**
     * A subscription began at `position`, or without one (null: the room has no history). When it
     * cannot be joined to what is held, a new era begins. Returns whether one did.
     */
    subscribed(position: Position | null): boolean {
        const era = this.eras.at(-1);
        if (era && position && era.epoch === position.epoch) {
            era.top = Math.max(era.top, position.offset);
            return false;
        }
        const epoch = position?.epoch ?? '';
        this.eras.push({
            id: this.nextEra++, epoch, held: [], offsets: new Set(), top: position?.offset ?? 0, floor: 1,
        });
        if (era && era.held.length === 0) this.eras.splice(this.eras.indexOf(era), 1);
        return true;
    }

    /** Takes a publication of the current epoch, from anywhere: live, recovered, history. */
    take(offset: number | null, message: Message | null): Taken {
        const era = this.eras.at(-1);
        if (!era) throw new Error('a publication before any subscription');
        if (offset !== null && era.offsets.has(offset)) return 'held';
        const repeat = message !== null && this.isRepeat(message);
        this.insert(era, offset, repeat ? null : message);
        return repeat ? 'repeat' : 'new';
    }

    /** What is held there loses its text, whether it is of this epoch or an earlier one. Returns whether there was any. */
    redact({ epoch, offset }: Position): boolean {
        const held = this.eras.find((era) => era.epoch === epoch)?.held ?? [];
        const entry = held.find((one) => one.offset === offset);
        if (!entry?.message || entry.message.redacted) return false;
        entry.message = { ...entry.message, text: '', redacted: true };
        return true;
    }

    /** Gives a sent message whose publication cannot be found any more a place for good. */
    adopt(message: Message): void {
        const era = this.eras.at(-1);
        if (era && !this.isRepeat(message)) this.insert(era, null, message);
    }

    /** A page of history that should have gone down from `before` brought nothing. */
    reachedEnd(before: number): void {
        const era = this.eras.at(-1);
        if (era) era.floor = Math.max(era.floor, before);
    }

    /** Holes of the current era, oldest first. */
    holes(): Hole[] {
        const era = this.eras.at(-1);
        return era ? holesOf(era) : [];
    }

    /** The offset to page back from, or null if the oldest that can be had is held. */
    get olderThan(): number | null {
        const era = this.eras.at(-1);
        if (!era) return null;
        const first = era.held.find((entry) => entry.offset !== null)?.offset ?? era.top + 1;
        return first > era.floor ? first : null;
    }

    /** Whether the current epoch lost its beginning: its oldest publications are not kept any more. */
    get trimmed(): boolean {
        return (this.eras.at(-1)?.floor ?? 1) > 1;
    }

    /** Whether the log begins with an earlier epoch: paging back then fills in below the break. */
    get broken(): boolean {
        return this.eras.length > 1;
    }

    /** Everything held, oldest first, with a line wherever messages may be missing. */
    lines(): Line[] {
        const lines: Line[] = [];
        this.eras.forEach((era, index) => {
            const current = index === this.eras.length - 1;
            const before = current ? (this.olderThan ?? 0) : 0;
            if (index > 0) lines.push({ kind: 'gap', key: `break-${era.id}`, gap: 'break', before });
            addLines(era, current, lines);
        });
        return lines;
    }

    get messageCount(): number {
        let count = 0;
        for (const era of this.eras) for (const entry of era.held) if (entry.message) count++;
        return count;
    }

    /** Forgets the oldest publications beyond `keep`; history can bring them back. */
    trim(keep: number): void {
        let surplus = this.eras.reduce((sum, era) => sum + era.held.length, 0) - keep;
        while (surplus > 0) {
            const era = this.eras[0];
            if (!era) return;
            const dropped = era.held.splice(0, surplus);
            surplus -= dropped.length;
            for (const entry of dropped) this.forget(era, entry);
            if (this.eras.length === 1) return;
            if (era.held.length === 0) this.eras.shift();
        }
    }

    private forget(era: Era, entry: Held): void {
        if (entry.offset !== null) era.offsets.delete(entry.offset);
        if (entry.message?.cid) this.cids.delete(cidKey(entry.message.author, entry.message.cid));
    }

    private isRepeat(message: Message): boolean {
        return message.cid !== null && this.cids.has(cidKey(message.author, message.cid));
    }

    private insert(era: Era, offset: number | null, message: Message | null): void {
        const last = era.held.at(-1);
        const at = offset ?? Math.max(last?.at ?? 0, era.top) + STEP;
        const entry: Held = { at, offset, message };
        if (!last || last.at < at) era.held.push(entry);
        else era.held.splice(place(era.held, at), 0, entry);
        if (offset !== null) {
            era.offsets.add(offset);
            era.top = Math.max(era.top, offset);
        }
        if (message?.cid) this.cids.add(cidKey(message.author, message.cid));
    }
}

function cidKey(author: Author, cid: string): string {
    return `${authorKey(author)}\n${cid}`;
}

/** Index of the first entry behind `at`. */
function place(held: Held[], at: number): number {
    let low = 0;
    let high = held.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (held[middle]!.at < at) low = middle + 1;
        else high = middle;
    }
    return low;
}

function holesOf(era: Era): Hole[] {
    const holes: Hole[] = [];
    let previous: number | null = null;
    for (const { offset } of era.held) {
        if (offset === null) continue;
        addHole(era, previous, offset, holes);
        previous = offset;
    }
    addHole(era, previous, era.top + 1, holes);
    return holes;
}

/** Before anything is held there is no hole yet, only history to load. */
function addHole(era: Era, previous: number | null, next: number, holes: Hole[]): void {
    if (previous === null || next === previous + 1) return;
    holes.push({ after: previous, before: next, lost: next <= era.floor });
}

function addLines(era: Era, current: boolean, lines: Line[]): void {
    const holes = holesOf(era);
    let nextHole = 0;
    const gapBefore = (offset: number): void => {
        const hole = holes[nextHole];
        if (!hole || hole.before > offset) return;
        nextHole++;
        const gap = hole.lost || !current ? 'lost' : 'hole';
        lines.push({ kind: 'gap', key: `gap-${era.id}-${hole.before}`, gap, before: hole.before });
    };
    for (const { offset, message } of era.held) {
        if (offset !== null) gapBefore(offset);
        if (message) lines.push({ kind: 'message', key: message.key, message });
    }
    gapBefore(Infinity);
}
