// SPDX-License-Identifier: MIT
/**
 * JSON values in web storage. Storage may be missing, full or forbidden (private windows
 * throw): then the page works on without a memory, so every failure reads as "nothing there".
 */
export type Shelf = 'local' | 'session';

const PREFIX = 'madang.';

function storage(shelf: Shelf): Storage | null {
    try {
        return shelf === 'local' ? globalThis.localStorage : globalThis.sessionStorage;
    } catch {
        return null;
    }
}

export function load(shelf: Shelf, key: string): unknown {
    try {
        const text = storage(shelf)?.getItem(PREFIX + key);
        return text ? (JSON.parse(text) as unknown) : null;
    } catch {
        return null;
    }
}

/** Calls `changed` when another tab has stored something else there. Returns what ends that. */
export function watch(key: string, changed: () => void): () => void {
    const heard = (event: StorageEvent): void => {
        if (event.key === PREFIX + key || event.key === null) changed();
    };
    addEventListener('storage', heard);
    return () => removeEventListener('storage', heard);
}

/** Stores `value`; null removes the key. Returns false when it could not be kept. */
export function save(shelf: Shelf, key: string, value: unknown): boolean {
    try {
        const store = storage(shelf);
        if (value === null) store?.removeItem(PREFIX + key);
        else store?.setItem(PREFIX + key, JSON.stringify(value));
        return store !== null;
    } catch {
        return false;
    }
}
