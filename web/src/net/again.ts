// SPDX-License-Identifier: MIT
/** Something that the gateway did not answer, and that is asked for again after pauses that grow. */
import { backoff } from '../base/backoff';

const FIRST_MS = 2000;
const MOST_MS = 30_000;

export class Again {
    private timer: ReturnType<typeof setTimeout> | undefined;
    private tries = 0;

    /** Runs `ask` after a pause. A pause that has begun already stays as it is. */
    later(ask: () => void): void {
        this.timer ??= setTimeout(() => {
            this.stop();
            ask();
        }, backoff(this.tries++, FIRST_MS, MOST_MS));
    }

    /** It is asked for now, or not wanted any more. */
    stop(): void {
        clearTimeout(this.timer);
        this.timer = undefined;
    }

    /** There was an answer, or the line is a new one: the next pause is a short one. */
    reset(): void {
        this.tries = 0;
    }
}
