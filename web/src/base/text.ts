// SPDX-License-Identifier: MIT
/** Text that people chose: names and titles. Nothing here escapes; rendering uses text nodes. */

/** Controls, halves of characters, and the bidirectional marks that make one name look like another. */
const UNSAFE = /[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** One line, no controls, no outer or doubled blanks, at most `limit` code points. */
export function oneLine(text: string, limit: number): string {
    const clean = text.replace(/\s+/gu, ' ').replace(UNSAFE, '').normalize('NFC').trim();
    return [...clean].slice(0, limit).join('').trim();
}

export function codePoints(text: string): number {
    let count = 0;
    for (const _ of text) count++;
    return count;
}

export function byteLength(text: string): number {
    return new TextEncoder().encode(text).length;
}

/** The first letter as people count letters, for a picture made of an initial. */
export function initial(name: string): string {
    const first = [...name.trim()][0];
    return first ? first.toLocaleUpperCase() : '?';
}

/** A small stable number for `text` (FNV-1a), to pick one of `buckets` colours. */
export function bucket(text: string, buckets: number): number {
    let hash = 0x811c9dc5;
    for (let i = 0; i < text.length; i++) {
        hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
    }
    return ((hash ^ (hash >>> 15)) >>> 0) % buckets;
}
