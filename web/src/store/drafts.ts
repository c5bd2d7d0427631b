// SPDX-License-Identifier: MIT
/** The unsent text of each room. Written a little later than it is typed, and when the page goes. */
import { load, save } from '../base/persist';

const WRITE_MS = 300;

const texts = new Map<string, string>();
const timers = new Map<string, ReturnType<typeof setTimeout>>();

export function draftOf(title: string): string {
    const held = texts.get(title);
    if (held !== undefined) return held;
    const stored = load('local', `draft.${title}`);
    return typeof stored === 'string' ? stored : '';
}

export function keepDraft(title: string, text: string): void {
    texts.set(title, text);
    clearTimeout(timers.get(title));
    timers.set(title, setTimeout(() => write(title), WRITE_MS));
}

/** Writes what is still waiting; for a page that is about to go away. */
export function flushDrafts(): void {
    for (const title of [...timers.keys()]) write(title);
}

function write(title: string): void {
    clearTimeout(timers.get(title));
    timers.delete(title);
    save('local', `draft.${title}`, texts.get(title) || null);
}
