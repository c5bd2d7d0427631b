// SPDX-License-Identifier: MIT
/**
 * The connection to the gateway. The official client speaks the protocol and keeps the
 * subscriptions; the page sets the pace of reconnecting, because it shows a countdown and has a
 * "Try now": the client is told to wait practically for ever, and each attempt is a disconnect
 * and a connect of ours, which keeps all subscriptions and their positions.
 */
import { signal } from '@preact/signals';
import { Centrifuge } from 'centrifuge';
import { backoff } from '../base/backoff';

export interface LinkState {
    readonly phase: 'idle' | 'connecting' | 'connected' | 'lost' | 'refused';
    /** When this outage began (ms); 0 while connected. */
    readonly since: number;
    /** When the next attempt starts (ms); 0 while one is under way. */
    readonly retryAt: number;
    readonly failures: number;
    /** Of a refusal. */
    readonly code: number;
    readonly reason: string;
}

const IDLE: LinkState = { phase: 'idle', since: 0, retryAt: 0, failures: 0, code: 0, reason: '' };
const FIRST_RETRY_MS = 800;
const LONGEST_RETRY_MS = 20_000;
/** An attempt that has not ended after this long counts as failed (the client's own limit is 5 s). */
const ATTEMPT_MS = 15_000;
/** The longest delay that a timer can hold. */
const FOR_EVER_MS = 2 ** 31 - 1;

export class Link {
    readonly state = signal<LinkState>(IDLE);
    readonly client: Centrifuge;
    /** Connected, but the gateway answered "later": what it needs to pass messages on is away. */
    readonly held = signal(false);
    /** Id of the current connection; "" while there is none. */
    clientId = '';
    private timer: ReturnType<typeof setTimeout> | undefined;
    /** An attempt of ours is being started: the client's own "disconnected" means nothing. */
    private restarting = false;

    constructor(endpoint: string) {
        this.client = new Centrifuge(endpoint, {
            name: 'madang-web',
            minReconnectDelay: FOR_EVER_MS,
            maxReconnectDelay: FOR_EVER_MS,
            networkEventTarget: this.networkEvents(),
            pageEventTarget: this.pageEvents(),
        });
        this.client.on('connected', (ctx) => {
            this.clientId = ctx.client;
            this.stopTimer();
            this.held.value = false;
            this.state.value = { ...IDLE, phase: 'connected' };
        });
        this.client.on('connecting', (ctx) => {
            if (!this.restarting && ctx.code !== 0) this.lost();
        });
        this.client.on('error', (ctx) => {
            if (ctx.type === 'transport' || ctx.type === 'connect') this.lost();
        });
        this.client.on('disconnected', (ctx) => {
            if (!this.restarting) this.refused(ctx.code, ctx.reason);
        });
    }

    /** Connects with `data` for the connect command; reconnects if it is connected already. */
    start(data: unknown): void {
        this.client.setData(data);
        this.state.value = { ...IDLE, phase: 'connecting', since: Date.now() };
        this.attempt();
    }

    tryNow(): void {
        const { phase, retryAt } = this.state.value;
        if (phase === 'refused' || (phase === 'lost' && retryAt !== 0)) this.attempt();
    }

    private attempt(): void {
        this.stopTimer();
        const { phase, since, failures } = this.state.value;
        const next = phase === 'connecting' ? 'connecting' : 'lost';
        this.state.value = { ...IDLE, phase: next, since: since || Date.now(), failures };
        this.restarting = true;
        this.client.disconnect();
        this.client.connect();
        this.restarting = false;
        this.timer = setTimeout(() => this.lost(), ATTEMPT_MS);
    }

    /** The connection broke, or an attempt failed. */
    private lost(): void {
        this.clientId = '';
        const { phase, since, failures, retryAt } = this.state.value;
        if (phase === 'lost' && retryAt !== 0) return;
        const tries = phase === 'connected' ? 0 : failures + 1;
        const wait = backoff(tries, FIRST_RETRY_MS, LONGEST_RETRY_MS);
        const now = Date.now();
        this.state.value = {
            ...IDLE, phase: 'lost', since: phase === 'connected' ? now : since, retryAt: now + wait, failures: tries,
        };
        this.stopTimer();
        this.timer = setTimeout(() => this.attempt(), wait);
    }

    private refused(code: number, reason: string): void {
        this.clientId = '';
        this.stopTimer();
        this.state.value = { ...IDLE, phase: 'refused', since: Date.now(), code, reason };
    }

    private stopTimer(): void {
        clearTimeout(this.timer);
        this.timer = undefined;
    }

    /** Going offline is for the client to notice; coming back is an attempt of ours. */
    private networkEvents(): EventTarget {
        const events = new EventTarget();
        addEventListener('offline', () => events.dispatchEvent(new Event('offline')));
        addEventListener('online', () => this.tryNow());
        document.addEventListener('visibilitychange', () => {
            if (document.visibilityState === 'visible' && this.state.value.phase === 'lost') this.tryNow();
        });
        return events;
    }

    /** Into the back/forward cache the connection is closed; out of it, it is opened at once. */
    private pageEvents(): EventTarget {
        const events = new EventTarget();
        addEventListener('pagehide', (event) => {
            events.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: event.persisted }));
        });
        addEventListener('pageshow', (event) => {
            if (event.persisted) this.tryNow();
        });
        return events;
    }
}
