// SPDX-License-Identifier: MIT
/**
 * A gateway with one room, and the network before it, for the real client: as much of the protocol
 * as the page speaks. Every frame that is carried is a step at which a test may break the line.
 */

/** How a line breaks at a frame. Without a word about it both ends have to find out by themselves. */
export type Break =
    | 'before' // the frame is lost, both ends are told
    | 'after' // the frame arrives, then both ends are told
    | 'refused' // the frame is lost, and some attempts to connect fail
    | 'dead' // nothing is carried any more, and nobody is told
    | 'up' // nothing is carried to the gateway any more
    | 'down'; // nothing is carried to the page any more

type Direction = 'up' | 'down';

const HOP_MS = 1;
const COMMIT_MS = 2;
const PING_S = 25;
const PONG_MS = 10_000;
const REFUSED_ATTEMPTS = 3;

interface Stored {
    readonly offset: number;
    readonly data: { readonly cid: string; readonly text: string };
    readonly info: Info;
}

interface Info {
    readonly user: string;
    readonly client: string;
    readonly conn_info: { readonly name: string };
}

interface Command {
    readonly id?: number;
    readonly connect?: { readonly data: { readonly guest: { readonly key: string; readonly name: string } } };
    readonly subscribe?: { readonly channel: string; readonly recover?: boolean; readonly offset?: number; readonly epoch?: string };
    readonly publish?: { readonly data: Stored['data'] };
    readonly history?: { readonly limit: number; readonly since?: { readonly offset: number } };
    readonly presence?: object;
}

type Reply = Record<string, unknown>;

/** What the client is given for a WebSocket; the page is the host of its address. */
class Socket {
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: string }) => void) | null = null;
    onclose: ((event: { code: number; reason: string }) => void) | null = null;
    onerror: (() => void) | null = null;
    readonly session: Session;
    private readonly lost = new Set<Direction>();
    private over = false;

    constructor(private readonly gateway: Gateway) {
        this.session = new Session(gateway, this);
        if (gateway.refusing > 0) {
            gateway.refusing--;
            this.end(1006);
        } else {
            setTimeout(() => this.over || this.onopen?.(), HOP_MS);
        }
    }

    send(text: string): void {
        this.carry('up', () => this.session.hear(text));
    }

    deliver(text: string): void {
        this.carry('down', () => this.onmessage?.({ data: text }));
    }

    close(): void {
        this.over = true;
        setTimeout(() => this.session.end(), HOP_MS);
    }

    /** Both ends are told. */
    end(code: number): void {
        if (this.over) return;
        this.over = true;
        setTimeout(() => this.onclose?.({ code, reason: '' }), HOP_MS);
        this.session.end();
    }

    private carry(direction: Direction, arrive: () => void): void {
        setTimeout(() => {
            if (this.over || this.lost.has(direction)) return;
            const how = this.gateway.step();
            const isOther = (how === 'up' || how === 'down') && how !== direction;
            if (how === null || how === 'after' || isOther) arrive();
            if (how !== null) this.break(how);
        }, HOP_MS);
    }

    private break(how: Break): void {
        if (how === 'dead' || how === 'up') this.lost.add('up');
        if (how === 'dead' || how === 'down') this.lost.add('down');
        if (how === 'refused') this.gateway.refusing = REFUSED_ATTEMPTS;
        if (how === 'before' || how === 'after' || how === 'refused') this.end(1006);
    }
}

class Session {
    info: Info | null = null;
    over = false;
    private pinging: ReturnType<typeof setInterval> | undefined;
    private pong: ReturnType<typeof setTimeout> | undefined;

    constructor(private readonly gateway: Gateway, private readonly socket: Socket) {}

    hear(text: string): void {
        for (const line of text.split('\n')) {
            const command = JSON.parse(line) as Command;
            if (command.id === undefined) clearTimeout(this.pong);
            else setTimeout(() => this.gateway.obey(this, command), COMMIT_MS);
        }
    }

    tell(reply: Reply): void {
        if (!this.over) this.socket.deliver(JSON.stringify(reply));
    }

    connected(info: Info): void {
        this.info = info;
        this.pinging = setInterval(() => {
            this.tell({});
            this.pong = setTimeout(() => this.socket.end(3012), PONG_MS);
        }, PING_S * 1000);
    }

    end(): void {
        if (this.over) return;
        this.over = true;
        clearInterval(this.pinging);
        clearTimeout(this.pong);
        this.gateway.left(this);
    }
}

export class Gateway {
    readonly stream: Stored[] = [];
    /** Attempts to connect that will fail. */
    refusing = 0;
    steps = 0;
    private clients = 0;
    private channel = '';
    private readonly members = new Set<Session>();

    /** `plan` is asked at each frame; who missed more than `recovers` is not sent it on subscribing. */
    constructor(private readonly plan: (step: number) => Break | null, private readonly recovers = Infinity) {}

    /** From now on every WebSocket leads here. */
    install(): void {
        const open = (): Socket => new Socket(this);
        Object.assign(globalThis, { WebSocket: function WebSocket() { return open(); } });
    }

    step(): Break | null {
        return this.plan(++this.steps);
    }

    /** What was published arrives, even if its session has ended; the rest needs somebody to answer to. */
    obey(session: Session, command: Command): void {
        const answer = (result: Reply): void => session.tell({ id: command.id, ...result });
        if (command.publish) return this.publish(session, command.publish.data, answer);
        if (session.over) return;
        if (command.connect) return this.connect(session, command.connect.data.guest, answer);
        if (command.subscribe) return this.subscribe(session, command.subscribe, answer);
        if (command.history) return answer({ history: this.history(command.history) });
        if (command.presence) return answer({ presence: { presence: this.presence() } });
        answer({ error: { code: 108, message: 'method not found' } });
    }

    left(session: Session): void {
        if (this.members.delete(session)) this.push({ leave: { info: session.info } });
    }

    private connect(session: Session, guest: { key: string; name: string }, answer: (result: Reply) => void): void {
        const client = `c-${++this.clients}`;
        session.connected({ user: guest.key, client, conn_info: { name: guest.name } });
        answer({ connect: { client, version: '', ping: PING_S, pong: true } });
    }

    private subscribe(session: Session, wanted: NonNullable<Command['subscribe']>, answer: (result: Reply) => void): void {
        const { offset = 0 } = wanted;
        const top = this.stream.length;
        const recovered = wanted.recover === true && top - offset <= this.recovers;
        const missed = recovered ? { recovered, publications: this.stream.slice(offset) } : {};
        const at = { epoch: 'e', offset: recovered ? offset : top };
        answer({ subscribe: { recoverable: true, positioned: true, was_recovering: wanted.recover, ...missed, ...at } });
        this.channel = wanted.channel;
        this.members.add(session);
        this.push({ join: { info: session.info } });
    }

    private publish(session: Session, data: Stored['data'], answer: (result: Reply) => void): void {
        const info = session.info!;
        const known = this.stream.some((one) => one.data.cid === data.cid && one.info.user === info.user);
        if (!known) {
            const pub = { offset: this.stream.length + 1, data, info };
            this.stream.push(pub);
            this.push({ pub });
        }
        answer({ publish: {} });
    }

    private history({ limit, since }: NonNullable<Command['history']>): Reply {
        const older = this.stream.slice(0, (since?.offset ?? Infinity) - 1);
        return { epoch: 'e', offset: this.stream.length, publications: older.reverse().slice(0, limit) };
    }

    private presence(): Reply {
        return Object.fromEntries([...this.members].map(({ info }) => [info!.client, info]));
    }

    private push(what: Reply): void {
        for (const member of this.members) member.tell({ push: { channel: this.channel, ...what } });
    }
}
