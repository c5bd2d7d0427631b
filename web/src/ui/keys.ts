// SPDX-License-Identifier: MIT
/**
 * Whether a key belongs to an input method that is still composing (Korean, Japanese, Chinese).
 * Such a key must do nothing else. Both tests are needed: Safari ends the composition before
 * the keydown of the confirming Enter, so only its keyCode tells.
 */
export function isComposing(event: KeyboardEvent): boolean {
    return event.isComposing || event.keyCode === 229;
}

/** A device whose main pointer is a finger: its Enter makes a new line. */
export function isTouch(): boolean {
    return matchMedia('(pointer: coarse)').matches;
}
