// SPDX-License-Identifier: MIT
/**
 * What stands above the oldest message: the way to older ones, or the beginning. Not a component
 * of its own: its height changes, so it must change together with the log, which keeps the view
 * still.
 */
import type { VNode } from 'preact';
import type { Feed } from '../net/feed';
import { t } from '../strings';
import { id } from '../testids';

export function logTop(feed: Feed): VNode | null {
    const { room } = feed;
    const lines = room.lines.value;
    const history = room.history.value;
    if (room.state.value === 'opening' && lines.length === 0) return <Skeleton />;
    if (history === 'loading' && lines.length === 0) return <Skeleton />;
    if (history === 'unavailable') return <li class="top" data-testid={id.start}>{t.noHistory}</li>;
    if (history === 'failed') {
        return (
            <li class="top">
                {t.loadFailed}{' '}
                <button type="button" data-testid={id.loadOlder} onClick={() => void feed.reload()}>{t.retry}</button>
            </li>
        );
    }
    if (room.stream.broken || room.stream.epoch === null) return null;
    if (room.stream.olderThan !== null) {
        return (
            <li class="top">
                <button type="button" data-testid={id.loadOlder} disabled={history === 'loading'} onClick={() => void feed.loadOlder()}>
                    {history === 'loading' ? t.loadingOlder : t.loadOlder}
                </button>
            </li>
        );
    }
    if (room.stream.trimmed) return <li class="top" data-testid={id.start}>{t.trimmed}</li>;
    return (
        <li class="beginning" data-testid={id.start}>
            <b>{t.beginning(room.title)}</b>
            {lines.length === 0 && <span>{t.beginningHint}</span>}
        </li>
    );
}

/** Grey bars while the first page is on its way; they appear only if that takes a while. */
function Skeleton() {
    return (
        <li class="skeleton" aria-hidden="true">
            {[60, 85, 40, 70].map((width) => <span class={`bar w${width}`} />)}
        </li>
    );
}
