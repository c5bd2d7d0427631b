// SPDX-License-Identifier: MIT
/**
 * Runs `work` once, with the next frame; a hidden page has no frames, so after a short while
 * at the latest. Whatever happens in between is drawn by that one run.
 */
const LATEST_MS = 100;

export function soon(work: () => void): void {
    let frame = 0;
    const run = (): void => {
        clearTimeout(timer);
        cancelAnimationFrame(frame);
        work();
    };
    const timer = setTimeout(run, LATEST_MS);
    frame = requestAnimationFrame(run);
}
