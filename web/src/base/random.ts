// SPDX-License-Identifier: MIT
/**
 * Random ids. `crypto.getRandomValues` works on plain http too, where `crypto.randomUUID`
 * and `crypto.subtle` do not exist.
 */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** A base64url-like id of `length` characters, six random bits each. */
export function randomId(length: number): string {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    let id = '';
    for (const byte of bytes) id += ALPHABET.charAt(byte & 63);
    return id;
}
