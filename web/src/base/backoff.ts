// SPDX-License-Identifier: MIT
/**
 * How long to wait before the next try, in ms. Doubles from `first` up to `most`; half of it is
 * random, so that a restarted gateway is not met by everybody in the same instant.
 */
export function backoff(tries: number, first: number, most: number, random = Math.random): number {
    const full = Math.min(most, first * 2 ** Math.min(tries, 20));
    return Math.round(full * (0.5 + 0.5 * random()));
}
