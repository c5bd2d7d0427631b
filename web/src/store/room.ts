// SPDX-License-Identifier: MIT
/**
 * One joined room: what is held of it, and the signals that the page draws from. No network
 * here; net/feed.ts calls in with what happens, the page calls in with what people do.
 */
import { batch, signal } from '@preact/signals';
import { randomId } from '../base/random';
import { load, save } from '../base/persist';
import { soon } from '../base/soon';
import type { Publication } from '../net/publication';
import { channelOf } from './channel';
import type { Author, Failure, Message } from './message';
import { Outbox, type Outgoing } from './outbox';
import { Reminders } from './reminders';
import { Roster, type Person } from './roster';
import { Stream, type Line, type Position } from './stream';
import { Typists } from './typists';

/**
 * Publications kept per room; older ones come back from history when somebody scrolls there.
 * Who reads further up gets more room, so that nothing is taken away from under the eyes.
 */
const KEEP = 5000;

/** Where the reader is, kept while another room is open. */
export interface View {
    stuck: boolean;
    /** First line of the window and the row that must not move, while not stuck. */
    first: string | null;
    anchor: { key: string; bottom: number } | null;
}

export type HistoryState = 'idle' | 'loading' | 'failed' | 'unavailable';
export type RoomState = 'opening' | 'open' | 'refused';

export interface Heard {
    readonly author: string;
    readonly text: string;
}

export class Room {
    readonly channel: string;
    readonly stream = new Stream();
    readonly outbox: Outbox;
    readonly reminders: Reminders;
    readonly roster = new Roster();
    readonly typists = new Typists();
    readonly view: View = { stuck: true, first: null, anchor: null };

    readonly lines = signal<readonly Line[]>([]);
    readonly people = signal<readonly Person[]>([]);
    readonly typing = signal<readonly string[]>([]);
    readonly unread = signal(0);
    /** Wanted to be known of while I am away; see net/followed.ts. */
    readonly followed = signal(false);
    readonly state = signal<RoomState>('opening');
    readonly problem = signal<Failure | null>(null);
    readonly history = signal<HistoryState>('idle');
    /** Text that goes back into the composer, once. */
    readonly restored = signal<string | null>(null);
    /** The last message that came in live, for the announcer. */
    readonly heard = signal<Heard | null>(null);

    /** The page sets this: the room is open, looked at, and scrolled to its end. */
    watched = false;
    /** I have read up to there. */
    onRead: ((at: Position) => void) | null = null;
    /** What the gateway has counted, until the room is in step with it. */
    private counted: { readonly top: Position; readonly unread: number } | null = null;
    /** Messages up to here were there when the room was joined, or were seen. */
    private readTo = 0;
    private redrawing = false;
    private recounting = false;
    private closed = false;
    private stored = true;
    private typingTimer: ReturnType<typeof setTimeout> | undefined;
    /** What waits is the same message until something of it changes, so it is not drawn again. */
    private readonly waiting = new WeakMap<Outgoing, Message>();

    constructor(readonly title: string, private readonly me: () => Author) {
        this.channel = channelOf(title);
        this.reminders = new Reminders(title);
        this.outbox = Outbox.load(load('session', this.outboxKey));
        if (this.outbox.items.length > 0) this.changed();
    }

    private get outboxKey(): string {
        return `outbox.${this.title}`;
    }

    /** The stream or the outbox changed: redraws once for everything that happens until the next frame. */
    changed(): void {
        if (this.redrawing) return;
        this.redrawing = true;
        soon(() => this.redraw());
    }

    /** Whether `lines` shows all that is held; if not, they are about to change. */
    get drawn(): boolean {
        return !this.redrawing;
    }

    private redraw(): void {
        this.redrawing = false;
        this.keepOutbox();
        const waiting = this.outbox.items.map((item): Line => {
            const message = this.pending(item);
            return { kind: 'message', key: message.key, message };
        });
        this.lines.value = [...this.stream.lines(), ...waiting];
    }

    /** Unsent messages outlive a reload of the page. Storage is touched only when there are any. */
    private keepOutbox(): void {
        const unsent = this.closed ? [] : this.outbox.save();
        if (unsent.length > 0) save('session', this.outboxKey, unsent);
        else if (this.stored) save('session', this.outboxKey, null);
        this.stored = unsent.length > 0;
    }

    /** A subscription began. `recovered`: what was missed follows as ordinary publications. */
    subscribed(position: Position | null, recovered: boolean): void {
        const first = this.stream.epoch === null;
        const stale = first ? [] : this.unlocated(position, recovered);
        for (const item of stale) this.stream.adopt({ ...this.pending(item), state: 'sent' });
        if (!recovered || first) this.beginStream(position, first);
        this.state.value = 'open';
        this.problem.value = null;
        this.changed();
        this.recount();
    }

    /** How much the gateway says is unread in a stream that ends at `top`. */
    countedBy(top: Position, unread: number): void {
        this.counted = { top, unread };
        this.recount();
    }

    /** What came in later is counted here. */
    private recount(): void {
        const { counted } = this;
        if (!counted || counted.top.epoch !== this.stream.epoch) return;
        this.counted = null;
        if (this.watched) return this.seen();
        const later = this.stream.lines().filter((line) => line.kind === 'message' && !this.isMine(line.message.author) &&
            (line.message.offset ?? 0) > counted.top.offset);
        this.readTo = Math.max(this.readTo, counted.top.offset);
        this.unread.value = counted.unread + later.length;
    }

    /** Sent messages whose publication can no longer arrive under their epoch. */
    private unlocated(position: Position | null, recovered: boolean): Outgoing[] {
        const same = recovered || (position !== null && position.epoch === this.stream.epoch);
        return same ? [] : this.outbox.takeSent();
    }

    private beginStream(position: Position | null, first: boolean): void {
        const newEra = this.stream.subscribed(position);
        if (newEra) this.readTo = first ? (position?.offset ?? 0) : 0;
    }

    /** Takes a publication. `live` ones (recovered too) may be new to the reader. */
    publication(publication: Publication, live: boolean): void {
        if (publication.kind === 'typing') return this.typingHeard(publication.author);
        if (publication.kind === 'other') {
            if (this.stream.take(publication.offset, null) === 'new') this.changed();
            return;
        }
        if (publication.kind === 'redaction') {
            const gone = this.stream.redact(publication.of);
            if (this.stream.take(publication.offset, null) === 'new' || gone) this.changed();
            return;
        }
        if (publication.kind === 'redacted') return this.redacted(publication.offset);
        const mine = this.isMine(publication.author, publication.cid);
        if (publication.cid !== null && mine) this.outbox.published(publication.cid);
        const message = this.located(publication, mine);
        const taken = this.stream.take(publication.offset, message);
        if (taken !== 'held') this.changed();
        if (taken !== 'new') return;
        this.spoke(publication.author);
        if (!mine) this.arrived(message, live);
        if (live) this.stream.trim(this.view.stuck ? KEEP : 4 * KEEP);
    }

    /** A place where a message was. If its text is held here, that goes; else there is a row without one. */
    private redacted(offset: number): void {
        const epoch = this.stream.epoch ?? '';
        const nobody = { user: '', client: '', name: '' };
        const message: Message = {
            key: `at-${epoch}-${offset}`, offset, cid: null, author: nobody, text: '', time: 0, state: 'sent',
            failure: null, redacted: true,
        };
        const gone = this.stream.redact({ epoch, offset });
        if (this.stream.take(offset, message) === 'new' || gone) this.changed();
    }

    /**
     * My other windows and earlier connections are me too, so the user decides. Without one (or
     * before it is known) it is this connection, or whoever knows the cid of an unsent message.
     */
    private isMine(author: Author, cid: string | null = null): boolean {
        const me = this.me();
        if (me.user !== '') return author.user === me.user;
        return author.client === me.client || (cid !== null && this.outbox.find(cid) !== null);
    }

    private located(publication: Extract<Publication, { kind: 'message' }>, mine: boolean): Message {
        const { offset, cid, author, text, time } = publication;
        const key = cid !== null && mine ? `cid-${cid}` : `at-${this.stream.epoch}-${offset ?? randomId(8)}`;
        return { key, offset, cid, author, text, time: time || Date.now(), state: 'sent', failure: null };
    }

    private arrived(message: Message, live: boolean): void {
        if (live) this.heard.value = { author: message.author.name, text: message.text };
        const fresh = message.offset === null ? live : message.offset > this.readTo;
        if (!fresh) return;
        if (!this.watched) {
            this.unread.value++;
            return;
        }
        this.readTo = Math.max(this.readTo, message.offset ?? 0);
        this.tellRead();
    }

    private tellRead(): void {
        if (this.stream.epoch !== null) this.onRead?.({ epoch: this.stream.epoch, offset: this.readTo });
    }

    /** Everything up to the end was seen. */
    seen(): void {
        this.readTo = this.stream.top;
        this.unread.value = 0;
        this.tellRead();
    }

    send(text: string): void {
        this.outbox.add(randomId(22), text, Date.now());
        this.changed();
    }

    remove(cid: string): void {
        this.outbox.remove(cid);
        this.changed();
    }

    /** Back into the composer; sending it again makes it another message. */
    edit(cid: string): void {
        const item = this.outbox.find(cid);
        if (!item) return;
        this.remove(cid);
        this.restored.value = item.text;
    }

    private pending(item: Outgoing): Message {
        const author = this.me();
        const held = this.waiting.get(item);
        if (held?.author === author) return held;
        const message: Message = {
            key: `cid-${item.cid}`, offset: null, cid: item.cid, author, text: item.text,
            time: item.created, state: item.state, failure: item.failure,
        };
        this.waiting.set(item, message);
        return message;
    }

    /** Redraws the people, once per frame: after an outage everybody joins at once. */
    rosterChanged(): void {
        if (this.recounting) return;
        this.recounting = true;
        soon(() => {
            this.recounting = false;
            this.people.value = this.roster.people();
        });
    }

    private typingHeard(author: Author): void {
        if (this.isMine(author)) return;
        this.typists.heard(author, Date.now());
        this.drawTyping();
    }

    private spoke(author: Author): void {
        if (this.typing.value.length === 0) return;
        this.typists.spoke(author);
        this.drawTyping();
    }

    private drawTyping(): void {
        const now = Date.now();
        this.typing.value = this.typists.names(now);
        clearTimeout(this.typingTimer);
        const end = this.typists.nextEnd;
        if (end !== null) this.typingTimer = setTimeout(() => this.drawTyping(), end - now + 10);
    }

    /** The connection is gone: nobody is known to be here or typing. */
    disconnected(): void {
        batch(() => {
            this.typists.clear();
            this.drawTyping();
        });
    }

    /** The room is left: nothing of it stays behind. */
    close(): void {
        this.closed = true;
        this.disconnected();
        this.reminders.close();
        save('session', this.outboxKey, null);
    }
}
