// SPDX-License-Identifier: MIT
/**
 * Messages of mine that are not in the stream yet, oldest first, for one room.
 *
 *   queued ──▶ sending ──▶ sent ──▶ (gone: its publication arrived)
 *     ▲           │ └────▶ failed   (the gateway refused it, or it waited too long)
 *     └───────────┘                 (outcome unknown: the same cid is sent again later)
 *
 * One is in flight at a time, so the order of typing is the order in the room. Its publication
 * may come before the reply; whichever comes second finds nothing left to do. Pure logic: the
 * clock is passed in.
 */
import { backoff } from '../base/backoff';
import type { Failure, MessageState } from './message';

/** After this long a message is not sent by itself any more: the moment may have passed. */
export const PATIENCE_MS = 5 * 60_000;

export interface Outgoing {
    readonly cid: string;
    readonly text: string;
    /** When it was typed (ms, local clock). */
    readonly created: number;
    readonly state: MessageState;
    readonly failure: Failure | null;
    readonly tries: number;
    /** Not before this time (ms); 0 = now. */
    readonly notBefore: number;
    /** The patience runs from here; a manual retry starts it anew. */
    readonly since: number;
}

export class Outbox {
    constructor(private list: Outgoing[] = []) {}

    get items(): readonly Outgoing[] {
        return this.list;
    }

    find(cid: string): Outgoing | null {
        return this.list.find((item) => item.cid === cid) ?? null;
    }

    add(cid: string, text: string, now: number): void {
        const item: Outgoing = {
            cid, text, created: now, state: 'queued', failure: null, tries: 0, notBefore: 0, since: now,
        };
        this.list = [...this.list, item];
    }

    /** The message to publish now, or null. What has waited too long fails here. */
    next(now: number): Outgoing | null {
        this.expire(now);
        if (this.list.some((item) => item.state === 'sending')) return null;
        const first = this.list.find((item) => item.state === 'queued');
        return first && first.notBefore <= now ? first : null;
    }

    /** When `next` may have something to give again, or null if nothing waits for a time. */
    wakeAt(): number | null {
        if (this.list.some((item) => item.state === 'sending')) return null;
        return this.list.find((item) => item.state === 'queued')?.notBefore ?? null;
    }

    begin(cid: string): void {
        this.change(cid, (item) => ({ ...item, state: 'sending', tries: item.tries + 1 }));
    }

    acknowledged(cid: string): void {
        this.change(cid, (item) => ({ ...item, state: 'sent', failure: null }));
    }

    /** The gateway said no: sending it again would change nothing. */
    refused(cid: string, failure: Failure): void {
        this.change(cid, (item) => (item.state === 'sending' ? { ...item, state: 'failed', failure } : item));
    }

    /** No answer, or "later": it may or may not have been published. */
    unknown(cid: string, now: number, random = Math.random): void {
        this.change(cid, (item) => item.state !== 'sending' ? item : {
            ...item, state: 'queued', notBefore: now + backoff(item.tries, 500, 30_000, random),
        });
    }

    /** Its publication arrived. Returns the message as it was, or null if it is not ours. */
    published(cid: string): Outgoing | null {
        const found = this.find(cid);
        if (found) this.remove(cid);
        return found;
    }

    retry(cid: string, now: number): void {
        this.change(cid, (item) => item.state !== 'failed' ? item : {
            ...item, state: 'queued', failure: null, notBefore: 0, since: now,
        });
    }

    remove(cid: string): void {
        this.list = this.list.filter((item) => item.cid !== cid);
    }

    /** A fresh subscription: nothing has to wait for its time any more. */
    hurry(): void {
        this.list = this.list.map((item) => (item.notBefore === 0 ? item : { ...item, notBefore: 0 }));
    }

    /** Sent ones whose publication never came, taken out. */
    takeSent(): Outgoing[] {
        const sent = this.list.filter((item) => item.state === 'sent');
        if (sent.length > 0) this.list = this.list.filter((item) => item.state !== 'sent');
        return sent;
    }

    /** What is worth keeping over a reload of the page. */
    save(): Outgoing[] {
        return this.list.filter((item) => item.state !== 'sent');
    }

    /** The counterpart of `save`; anything else in storage is ignored. */
    static load(stored: unknown): Outbox {
        if (!Array.isArray(stored)) return new Outbox();
        return new Outbox(stored.filter(isOutgoing).map((item) => ({
            ...item, state: item.state === 'failed' ? 'failed' : 'queued', notBefore: 0,
        })));
    }

    private expire(now: number): void {
        for (const item of this.list) {
            if (item.state !== 'queued' || now - item.since <= PATIENCE_MS) continue;
            this.change(item.cid, (old) => ({ ...old, state: 'failed', failure: { code: 'stale', message: '' } }));
        }
    }

    private change(cid: string, edit: (item: Outgoing) => Outgoing): void {
        this.list = this.list.map((item) => (item.cid === cid ? edit(item) : item));
    }
}

function isOutgoing(value: unknown): value is Outgoing {
    if (typeof value !== 'object' || value === null) return false;
    const item = value as Partial<Record<keyof Outgoing, unknown>>;
    return typeof item.cid === 'string' && typeof item.text === 'string' &&
        typeof item.created === 'number' && typeof item.since === 'number' &&
        typeof item.tries === 'number' && typeof item.state === 'string' &&
        (item.failure === null || typeof item.failure === 'object');
}
