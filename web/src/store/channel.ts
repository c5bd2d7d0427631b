// SPDX-License-Identifier: MIT
/**
 * A room's title and its channel. The title is what people type and see, in any script; the
 * channel is its name on the wire, where ':', '#', '$' and a few others have a meaning. Those
 * are percent-encoded, so every title has its own channel and no title can reach out of the
 * plain rooms.
 */
import { byteLength, oneLine } from '../base/text';

/** Protocol limit for a channel name, in bytes. */
const CHANNEL_BYTES = 255;
const TITLE_LIMIT = 64;

/** Characters with a meaning in a channel name, and the escape itself. */
const SPECIAL = /[%:#$&*/]/g;

/** The canonical title of what somebody typed: "  Design Review " is "design-review". */
export function canonicalTitle(typed: string): string {
    const line = oneLine(typed.replace(/^\s*#+/, ''), TITLE_LIMIT);
    return line.toLowerCase().normalize('NFC').replace(/ /g, '-');
}

export function channelOf(title: string): string {
    return title.replace(SPECIAL, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

export type TitleProblem = 'empty' | 'long';

export function titleProblem(title: string): TitleProblem | null {
    if (title === '') return 'empty';
    return byteLength(channelOf(title)) > CHANNEL_BYTES ? 'long' : null;
}
