// SPDX-License-Identifier: MIT
/**
 * A clock that tests turn: timers, frames and Date.now of this process follow it, so minutes of
 * waiting pass in no time and always in the same order. Between two timers all promises settle.
 */
interface Timer {
    readonly id: number;
    at: number;
    readonly every: number | null;
    readonly work: () => void;
}

/** The longest delay that a browser's timer can hold; beyond it they fire at once. */
const LONGEST_MS = 2 ** 31 - 1;
const FRAME_MS = 16;

export class Clock {
    private time = Date.UTC(2026, 0, 1);
    private readonly begun = this.time;
    private nextId = 1;
    private readonly timers = new Map<number, Timer>();

    /** Takes the place of this process's own. */
    install(): void {
        const set = (work: () => void, delay = 0): number => this.add(work, delay, null);
        const clear = (id: number | undefined): void => { this.timers.delete(id ?? 0); };
        Object.assign(globalThis, {
            setTimeout: set, clearTimeout: clear, clearInterval: clear, cancelAnimationFrame: clear,
            setInterval: (work: () => void, delay: number) => this.add(work, delay, delay),
            requestAnimationFrame: (work: () => void) => set(work, FRAME_MS),
        });
        Date.now = () => this.time;
    }

    /** Since it began, ms. */
    get passed(): number {
        return this.time - this.begun;
    }

    /** Runs what is next, until `done`, or until so much time has passed. Returns whether it is done. */
    async run(done: () => boolean, most: number): Promise<boolean> {
        const end = this.time + most;
        for (;;) {
            await settled();
            if (done()) return true;
            const next = this.first();
            if (!next || next.at > end) return false;
            this.fire(next);
        }
    }

    private add(work: () => void, delay: number, every: number | null): number {
        if (delay > LONGEST_MS) throw new Error(`a timer cannot wait ${delay} ms`);
        const id = this.nextId++;
        this.timers.set(id, { id, at: this.time + Math.max(1, delay), every, work });
        return id;
    }

    private first(): Timer | null {
        let first: Timer | null = null;
        for (const timer of this.timers.values()) if (!first || timer.at < first.at) first = timer;
        return first;
    }

    private fire(timer: Timer): void {
        this.time = timer.at;
        if (timer.every === null) this.timers.delete(timer.id);
        else timer.at += timer.every;
        timer.work();
    }
}

const immediate = globalThis.setImmediate;
const settled = (): Promise<void> => new Promise((done) => immediate(done));
