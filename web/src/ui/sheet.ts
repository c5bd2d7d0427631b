// SPDX-License-Identifier: MIT
/**
 * On narrow screens the room list and the member list are sheets over the messages. One can be
 * open; closing it gives the focus back to the button that opened it.
 */
import { signal } from '@preact/signals';

export type Sheet = 'rooms' | 'members';
export const sheet = signal<Sheet | null>(null);

let opener: HTMLElement | null = null;

export function openSheet(which: Sheet): void {
    opener = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    sheet.value = which;
    requestAnimationFrame(() => document.querySelector<HTMLElement>(`.sheet-${which} .sheet-close`)?.focus());
}

/** Something was chosen in the sheet: the focus goes where that leads, not back. */
export function leaveSheet(): void {
    sheet.value = null;
    opener = null;
}

export function closeSheet(): void {
    if (sheet.value === null) return;
    const back = opener;
    leaveSheet();
    // What lies under the sheet takes no focus before the next frame has drawn it free.
    requestAnimationFrame(() => back?.focus());
}
