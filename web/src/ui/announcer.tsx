// SPDX-License-Identifier: MIT
/**
 * Speaks live messages of the open room to screen readers. The log itself is silent, or every
 * page of old history would be read out; a burst is told as a number.
 */
import { useSignal, useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';
import type { Room } from '../store/room';
import { t } from '../strings';

const BURST_MS = 600;

export function Announcer({ room }: { room: Room }) {
    const spoken = useSignal('');
    const burst = useRef<{ count: number; timer: ReturnType<typeof setTimeout> | undefined }>({ count: 0, timer: undefined });
    useSignalEffect(() => {
        const heard = room.heard.value;
        if (heard === null) return;
        const pending = burst.current;
        pending.count++;
        clearTimeout(pending.timer);
        pending.timer = setTimeout(() => {
            spoken.value = pending.count > 1 ? t.newMessages(pending.count) : `${heard.author}: ${heard.text}`;
            pending.count = 0;
        }, BURST_MS);
    });
    return <div class="sr" aria-live="polite">{spoken.value}</div>;
}
