// SPDX-License-Identifier: MIT
/** The open room is in the address: `#/r/<title>`. Only this file reads or writes it. */
import { canonicalTitle, titleProblem } from './channel';

const PREFIX = '#/r/';

export function hrefOf(title: string): string {
    return PREFIX + encodeURIComponent(title);
}

/** The title in an address, or null if there is none (or none that could be a room). */
export function titleIn(hash: string): string | null {
    if (!hash.startsWith(PREFIX)) return null;
    try {
        const title = canonicalTitle(decodeURIComponent(hash.slice(PREFIX.length)));
        return titleProblem(title) === null ? title : null;
    } catch {
        return null; // not valid percent-encoding
    }
}
