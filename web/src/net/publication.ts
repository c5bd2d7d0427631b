// SPDX-License-Identifier: MIT
/**
 * Reads a publication of the wire. Its `data` comes from anybody, so nothing about its shape is
 * taken for granted. Kinds: a message is shown; typing is a notice; a redaction says that what is
 * at `of` is to be seen no more, and redacted stands in the stream where it was; other is a kind
 * that this page does not know and holds its place in the stream without a row.
 *
 * Only the gateway publishes without saying who did, so nobody else can redact.
 */
import type { PublicationContext } from 'centrifuge';
import { oneLine } from '../base/text';
import type { Author } from '../store/message';
import type { Position } from '../store/stream';

export type Publication =
    | { kind: 'message'; offset: number | null; author: Author; text: string; cid: string | null; time: number }
    | { kind: 'typing'; author: Author }
    | { kind: 'redaction'; offset: number | null; of: Position }
    | { kind: 'redacted'; offset: number }
    | { kind: 'other'; offset: number | null };

export const NAME_LIMIT = 40;

type Info = NonNullable<PublicationContext['info']>;

export function authorOf(info: Info | undefined): Author {
    const connInfo: unknown = info?.connInfo;
    const given = isRecord(connInfo) && typeof connInfo.name === 'string' ? connInfo.name : '';
    const user = info?.user ?? '';
    const client = info?.client ?? '';
    return { user, client, name: oneLine(given, NAME_LIMIT) || user || client.slice(0, 8) };
}

/** What a Date can hold; beyond it, and for what is no number, formatting throws. */
const LATEST_MS = 8.64e15;

export function readPublication(ctx: PublicationContext): Publication {
    const offset = ctx.offset ? ctx.offset : null;
    const data: unknown = ctx.data;
    const author = authorOf(ctx.info);
    if (isRecord(data) && typeof data.type === 'string' && data.type !== 'message') {
        if (data.type === 'typing' && offset === null) return { kind: 'typing', author };
        return data.type === 'redacted' && ctx.info === undefined ? redaction(data, offset) : { kind: 'other', offset };
    }
    const text = textOf(data);
    if (text === null) return { kind: 'other', offset };
    const cid = isRecord(data) && typeof data.cid === 'string' && data.cid !== '' ? data.cid : null;
    const time = Number(ctx.tags?.t ?? 0);
    return { kind: 'message', offset, author, text, cid, time: Math.abs(time) <= LATEST_MS ? time : 0 };
}

function redaction(data: Record<string, unknown>, offset: number | null): Publication {
    const { offset: of, epoch } = data;
    if (typeof of === 'number' && typeof epoch === 'string') return { kind: 'redaction', offset, of: { epoch, offset: of } };
    return of === undefined && offset !== null ? { kind: 'redacted', offset } : { kind: 'other', offset };
}

/** Programs may publish data without `text`; people then see it as it is. */
function textOf(data: unknown): string | null {
    if (typeof data === 'string') return data;
    if (!isRecord(data)) return data === null || data === undefined ? null : JSON.stringify(data);
    return typeof data.text === 'string' ? data.text : JSON.stringify(data);
}

function isRecord(value: unknown): value is Record<string, unknown> {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}
