// SPDX-License-Identifier: MIT
/**
 * What is meant by a text that is about to be sent. A slash begins a command, two stand for one
 * that is to be said. What is no command is never sent by mistake: it stays where it was typed.
 */
import { parseReminder } from './reminders';

export type Meaning =
    | { readonly say: string }
    | { readonly remind: { readonly at: number; readonly text: string } }
    | { readonly problem: Problem };

/** `usage`: of the commands that there are. */
export type Problem = { readonly reason: 'usage' } | { readonly reason: 'unknown'; readonly name: string };

const COMMAND = /^\/(\S*)/u;
/** Of a name that is repeated to who typed it. */
const NAME_MAX = 16;
const USAGE: Meaning = { problem: { reason: 'usage' } };

export function meaningOf(typed: string, now: number): Meaning {
    if (typed.startsWith('//')) return { say: typed.slice(1) };
    const name = COMMAND.exec(typed)?.[1];
    if (name === undefined) return { say: typed };
    if (name === '' || name === 'help') return USAGE;
    if (name !== 'remind') return { problem: { reason: 'unknown', name: name.slice(0, NAME_MAX) } };
    const reminder = parseReminder(typed, now);
    return reminder === null || reminder === 'usage' ? USAGE : { remind: reminder };
}

/** Whether it is, or may become, a command: nobody else is told that somebody types it. */
export function isCommand(typed: string): boolean {
    return typed.startsWith('/') && !typed.startsWith('//');
}
