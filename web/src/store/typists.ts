// SPDX-License-Identifier: MIT
/** Who is typing in a room. A notice holds for a while; a message of that person ends it. */
import { authorKey, type Author } from './message';

/** A notice is shown this long, ms. */
export const SHOWN_MS = 5000;
/** While somebody types, notices go out this far apart, ms. */
export const NOTICE_MS = 3000;
/** Never nearer than this, ms: the gateway passes on one a second. */
export const NOTICE_LEAST_MS = 1200;

export class Typists {
    private readonly until = new Map<string, { name: string; until: number }>();

    heard(author: Author, now: number): void {
        this.until.set(authorKey(author), { name: author.name, until: now + SHOWN_MS });
    }

    spoke(author: Author): void {
        this.until.delete(authorKey(author));
    }

    clear(): void {
        this.until.clear();
    }

    names(now: number): string[] {
        for (const [key, entry] of this.until) if (entry.until <= now) this.until.delete(key);
        return [...this.until.values()].map((entry) => entry.name);
    }

    /** When the next name goes away, or null if there is none. */
    get nextEnd(): number | null {
        let end: number | null = null;
        for (const entry of this.until.values()) end = Math.min(end ?? Infinity, entry.until);
        return end;
    }
}
