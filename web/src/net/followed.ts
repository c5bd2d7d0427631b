// SPDX-License-Identifier: MIT
/**
 * Followed rooms: the gateway keeps how far I have read in them, so what is unread outlives the
 * browser. On each connection it is asked for the list; what I read is told to it, and my other
 * windows hear of that.
 */
import type { Position } from '../store/stream';
import type { Room } from '../store/room';
import { Again } from './again';
import { codeOf, isUnknown } from './failure';
import type { Link } from './link';

/** What was read is told so much later at most, once for all that was read meanwhile. */
const TELL_MS = 500;
/** Several notices in a row make one question. */
const ASK_MS = 250;
const PAGES = 10;

interface Line {
    readonly room: string;
    readonly unread: number;
    readonly top: Position;
}

interface Page {
    readonly rooms: readonly Line[];
    readonly more?: boolean;
}

interface Notice {
    readonly type?: unknown;
    readonly room?: unknown;
    readonly offset?: unknown;
}

export class Followed {
    /** By channel; what was not answered yet is empty. */
    private lines = new Map<string, Line>();
    /** Read, and not told yet. */
    private readonly untold = new Map<string, Position>();
    private readonly told = new Map<string, number>();
    private tellTimer: ReturnType<typeof setTimeout> | undefined;
    private askTimer: ReturnType<typeof setTimeout> | undefined;
    private readonly again = new Again();

    constructor(private readonly link: Link, private readonly rooms: () => readonly Room[]) {
        link.client.on('connected', () => void this.ask());
        link.client.on('publication', (ctx) => this.heard(ctx.channel, ctx.data as Notice | null));
        document.addEventListener('visibilitychange', () => {
            if (document.visibilityState === 'visible') this.askSoon();
            else this.tell();
        });
        addEventListener('pagehide', () => this.tell());
    }

    /** A room was joined here. */
    enter(room: Room): void {
        room.onRead = (at) => this.read(room, at);
        this.apply(room);
    }

    /** Throws what the gateway answers. */
    async follow(room: Room): Promise<void> {
        await this.link.client.rpc('rooms.follow', { room: room.channel });
        room.followed.value = true;
    }

    async unfollow(room: Room): Promise<void> {
        await this.link.client.rpc('rooms.unfollow', { room: room.channel });
        this.lines.delete(room.channel);
        room.followed.value = false;
    }

    private apply(room: Room): void {
        const line = this.lines.get(room.channel);
        room.followed.value = line !== undefined;
        if (line && !this.untold.has(room.channel)) room.countedBy(line.top, line.unread);
    }

    private async ask(): Promise<void> {
        const lines = new Map<string, Line>();
        this.again.stop();
        try {
            let after: string | undefined;
            for (let i = 0; i < PAGES; i++) {
                const page = (await this.link.client.rpc('rooms.list', { after, limit: 500 })).data as Page;
                for (const line of page.rooms) lines.set(line.room, line);
                after = page.rooms.at(-1)?.room;
                if (!page.more) break;
            }
        } catch (error) {
            if (isUnknown(codeOf(error))) this.again.later(() => this.askSoon());
            return; // so does the next connection
        }
        this.again.reset();
        this.lines = lines;
        for (const room of this.rooms()) this.apply(room);
    }

    private askSoon(): void {
        clearTimeout(this.askTimer);
        if (this.link.state.value.phase !== 'connected') return;
        this.askTimer = setTimeout(() => void this.ask(), ASK_MS);
    }

    /** Another window of mine has changed something; or this one, which knows. */
    private heard(channel: string, notice: Notice | null): void {
        if (!channel.includes('#') || typeof notice?.room !== 'string') return;
        if (notice.type === 'read' && this.told.get(notice.room) === notice.offset) return;
        this.askSoon();
    }

    private read(room: Room, at: Position): void {
        if (!room.followed.value) return;
        this.untold.set(room.channel, at);
        this.tellTimer ??= setTimeout(() => this.tell(), TELL_MS);
    }

    private tell(): void {
        clearTimeout(this.tellTimer);
        this.tellTimer = undefined;
        if (this.link.state.value.phase !== 'connected') return; // kept until the next time
        for (const [channel, at] of this.untold) {
            this.told.set(channel, at.offset);
            this.link.client.rpc('rooms.read', { room: channel, ...at }).catch(() => {
                // Less is read for the others then, which the next message puts right.
            });
        }
        this.untold.clear();
    }
}
