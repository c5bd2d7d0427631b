// SPDX-License-Identifier: MIT
/**
 * Tells about the connection, above the messages. Nothing in the first second: most breaks heal
 * by then. A lost connection comes with a countdown; a refusal with its reason.
 */
import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { LinkState } from '../net/link';
import { link } from '../store/chat';
import { t } from '../strings';
import { id } from '../testids';

const GRACE_MS = 1000;
const BACK_MS = 3000;
/** After this many failures the host is named: perhaps it is the wrong one. */
const NAME_HOST_AFTER = 3;

export function Banner() {
    const now = useSignal(Date.now());
    const back = useSignal(false);
    const shown = useRef(false);
    const state = link.state.value;
    const trouble = state.phase === 'lost' || state.phase === 'connecting';

    useEffect(() => {
        if (!trouble) return;
        now.value = Date.now();
        const timer = setInterval(() => { now.value = Date.now(); }, 250);
        return () => clearInterval(timer);
    }, [trouble]);
    useSignalEffect(() => {
        if (link.state.value.phase !== 'connected' || !shown.current) return;
        shown.current = false;
        back.value = true;
        const timer = setTimeout(() => { back.value = false; }, BACK_MS);
        return () => clearTimeout(timer);
    });

    if (state.phase === 'connected') {
        if (link.held.value) {
            return <div class="banner" role="status" data-testid={id.banner} data-phase="held"><span>{t.bannerHeld}</span></div>;
        }
        if (!back.value) return null;
        return <div class="banner back" role="status" data-testid={id.banner} data-phase="back"><span>{t.bannerBack}</span></div>;
    }
    if (trouble && now.value - state.since < GRACE_MS) return null;
    if (state.phase === 'idle') return null;
    shown.current = state.phase === 'lost' || shown.current;
    const refused = state.phase === 'refused';
    return (
        <div class={`banner ${refused ? 'refused' : ''}`} role="status" data-testid={id.banner} data-phase={state.phase}>
            <span>{sentence(state, now.value)}</span>
            {(refused || state.retryAt !== 0) && (
                <button type="button" class="button" data-testid={id.tryNow} onClick={() => link.tryNow()}>
                    {refused ? t.reconnect : t.tryNow}
                </button>
            )}
        </div>
    );
}

function sentence(state: LinkState, now: number): string {
    if (state.phase === 'refused') return t.bannerRefused(state.reason, state.code);
    if (state.phase === 'connecting') return t.bannerConnecting;
    if (state.retryAt === 0) return t.bannerTrying;
    const seconds = Math.max(1, Math.ceil((state.retryAt - now) / 1000));
    return state.failures >= NAME_HOST_AFTER ? t.bannerUnreachable(location.host, seconds) : t.bannerLost(seconds);
}
