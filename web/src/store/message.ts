// SPDX-License-Identifier: MIT
/** A message as the page shows it, whether it is in the stream yet or still being sent. */

/** Who wrote it, as stamped by the gateway. */
export interface Author {
    readonly user: string;
    readonly client: string;
    readonly name: string;
}

/** The identity that groups, colours and counts people: the user, or the connection if it has none. */
export function authorKey(author: Author): string {
    return author.user !== '' ? author.user : `client:${author.client}`;
}

export type MessageState = 'queued' | 'sending' | 'sent' | 'failed';

/** Why a message was not sent: an error code of the gateway, or 'stale' (it waited too long). */
export interface Failure {
    readonly code: number | 'stale';
    readonly message: string;
}

export interface Message {
    /** Never changes while the row lives, even when a queued message gets its offset. */
    readonly key: string;
    readonly offset: number | null;
    readonly cid: string | null;
    readonly author: Author;
    readonly text: string;
    /** Server time in ms; the local clock while unsent; 0 if unknown. */
    readonly time: number;
    readonly state: MessageState;
    readonly failure: Failure | null;
    /** A moderator took it out: there is no text any more, and no author if it was never held. */
    readonly redacted?: true;
}
