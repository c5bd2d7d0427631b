// SPDX-License-Identifier: MIT
/**
 * The messages of the open room. Two states: stuck to the end, or anchored to a row that does
 * not move on the screen whatever is added, removed or resized above or below it. The browser's
 * own anchoring is off (it fails at the very top), so there is one code path: note the anchor
 * before a change, put it back after.
 */
import { Component, type VNode } from 'preact';
import type { Feed } from '../net/feed';
import { rangeFrom, rowsOf, slide, tailRange, type Range, type Row } from '../store/layout';
import type { Message } from '../store/message';
import type { View } from '../store/room';
import type { Line } from '../store/stream';
import { t } from '../strings';
import { id } from '../testids';
import { Icon } from './icon';
import { logTop } from './log-top';
import { MessageRow } from './message-row';
import { dayName } from './time';

/** This close to the end counts as being there, px. */
const STICKY_PX = 32;

export class Log extends Component<{ feed: Feed }, { tick: number }> {
    private tick = 0;
    private scroller: HTMLElement | null = null;
    private list: HTMLElement | null = null;
    private lines: readonly Line[] = [];
    private range: Range = { low: 0, high: 0 };
    private readonly nodes = new WeakMap<Message, { first: boolean; node: VNode }>();
    private resized: ResizeObserver | null = null;
    /** Heights when the view was last settled, px: of the rows, and of what is seen of them. */
    private settled = { all: 0, seen: 0 };
    private readonly watch = (): void => this.updateWatched();

    override componentDidMount(): void {
        this.resized = new ResizeObserver(() => this.settle());
        if (this.scroller) this.resized.observe(this.scroller);
        if (this.list) this.resized.observe(this.list);
        for (const [target, event] of WATCHED_EVENTS) target.addEventListener(event, this.watch);
        this.settle();
        this.reachOut();
        this.updateWatched();
    }

    override componentWillUnmount(): void {
        this.resized?.disconnect();
        for (const [target, event] of WATCHED_EVENTS) target.removeEventListener(event, this.watch);
        this.room.watched = false;
    }

    override getSnapshotBeforeUpdate(): null {
        this.noteAnchor();
        return null;
    }

    override componentDidUpdate(): void {
        this.settle();
        this.reachOut();
        this.updateWatched();
    }

    /** For what no signal tells: the view moved. */
    private redraw(): void {
        this.setState({ tick: ++this.tick });
    }

    private get room() {
        return this.props.feed.room;
    }

    private noteAnchor(): void {
        const { view } = this.room;
        if (!this.scroller || view.stuck) return;
        view.anchor = findAnchor(this.scroller) ?? view.anchor;
    }

    /** Puts the view where it belongs after anything changed. */
    private settle(): void {
        const { scroller, room: { view } } = this;
        if (!scroller) return;
        this.settled = { all: scroller.scrollHeight, seen: scroller.clientHeight };
        if (view.stuck) {
            scroller.scrollTop = scroller.scrollHeight;
            return;
        }
        const row = view.anchor && scroller.querySelector(`[data-key="${CSS.escape(view.anchor.key)}"]`);
        if (!row || !view.anchor) return;
        const moved = bottomOf(row, scroller) - view.anchor.bottom;
        if (Math.abs(moved) >= 1) scroller.scrollBy({ top: moved, behavior: 'instant' });
    }

    private readonly scrolled = (): void => {
        const { scroller, room: { view } } = this;
        if (!scroller) return;
        // The banner or the composer took room in the frame of an earlier scroll: nobody left the end.
        if (view.stuck && this.isResized(scroller)) return this.settle();
        const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
        const stuck = left <= STICKY_PX && this.range.high >= this.lines.length;
        if (stuck !== view.stuck) {
            view.stuck = stuck;
            view.first = this.lines[this.range.low]?.key ?? null;
            this.redraw();
            this.updateWatched();
        }
        this.noteAnchor();
        this.reachOut();
    };

    private isResized(scroller: HTMLElement): boolean {
        return scroller.scrollHeight !== this.settled.all || scroller.clientHeight !== this.settled.seen;
    }

    /** Less than a screen is left above or below: brings in more rows, from here or from history. */
    private reachOut(): void {
        const { scroller, lines, range, room: { view } } = this;
        if (!scroller || scroller.clientHeight === 0) return;
        const below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
        if (scroller.scrollTop < scroller.clientHeight) {
            if (range.low > 0 && !view.stuck) this.moveTo(slide(range, lines.length, true));
            else if (range.low === 0) this.loadOlder();
        } else if (!view.stuck && below < scroller.clientHeight) {
            this.moveTo(slide(range, lines.length, false));
        }
    }

    /** Where the top is on screen, older messages join the window at once: there is nowhere to scroll. */
    private nextRange(lines: readonly Line[]): Range {
        const { view } = this.room;
        if (view.stuck) return tailRange(lines.length);
        const range = rangeFrom(lines, view.first);
        const prepended = range.low > 0 && this.range.low === 0 && this.lines[0]?.key === view.first;
        if (!prepended) return range;
        const wider = slide(range, lines.length, true) ?? range;
        view.first = lines[wider.low]?.key ?? null;
        return wider;
    }

    private moveTo(range: Range | null): void {
        if (range === null) return;
        this.room.view.first = this.lines[range.low]?.key ?? null;
        this.redraw();
    }

    private loadOlder(): void {
        const { history, stream, drawn } = this.room;
        if (history.value === 'idle' && drawn && !stream.broken) void this.props.feed.loadOlder();
    }

    private readonly toEnd = (): void => {
        this.room.view.stuck = true;
        this.redraw();
    };

    private updateWatched(): void {
        const { room } = this;
        room.watched = room.view.stuck && document.visibilityState === 'visible' && document.hasFocus();
        if (room.watched && room.unread.value > 0) room.seen();
    }

    /** A row that has not changed keeps its node, so a new message costs one row, not the window. */
    private drawn(row: Row): VNode {
        const { feed } = this.props;
        if (row.kind !== 'message') return <RowView key={row.key} row={row} feed={feed} />;
        const { message, first } = row;
        const held = this.nodes.get(message);
        if (held?.first === first) return held.node;
        const node = <MessageRow key={row.key} feed={feed} message={message} first={first} />;
        this.nodes.set(message, { first, node });
        return node;
    }

    override render() {
        const { feed } = this.props;
        const { room } = feed;
        this.range = this.nextRange(room.lines.value);
        this.lines = room.lines.value;
        const rows = rowsOf(this.lines, this.range.low, this.range.high);
        return (
            <div class="log-frame">
                <div
                    class="log" role="log" aria-live="off" aria-label={t.log(room.title)} tabIndex={0} data-testid={id.log}
                    ref={(element) => { this.scroller = element; }} onScroll={this.scrolled}
                >
                    <ol ref={(element) => { this.list = element; }}>
                        {this.range.low === 0 && logTop(feed)}
                        {rows.map((row) => this.drawn(row))}
                    </ol>
                </div>
                {!room.view.stuck && (
                    <button type="button" class="jump-latest" data-testid={id.jumpLatest} onClick={this.toEnd}>
                        {room.unread.value > 0 ? t.newMessages(room.unread.value) : t.jumpLatest}
                        <Icon name="down" />
                    </button>
                )}
            </div>
        );
    }
}

const WATCHED_EVENTS: readonly [EventTarget, string][] = [
    [globalThis, 'focus'], [globalThis, 'blur'], [document, 'visibilitychange'],
];

function RowView({ row, feed }: { row: Exclude<Row, { kind: 'message' }>; feed: Feed }) {
    if (row.kind === 'day') {
        return <li class="day" data-testid={id.day}><span>{dayName(row.time, Date.now())}</span></li>;
    }
    const { gap, before } = row;
    return (
        <li class="gap" data-testid={id.gap} data-kind={gap}>
            <span>{t.gap[gap]}</span>
            {gap !== 'lost' && before > 0 && (
                <button type="button" data-testid={id.gapLoad} onClick={() => void feed.fillGap(before)}>{t.gapLoad}</button>
            )}
        </li>
    );
}

function bottomOf(element: Element, scroller: Element): number {
    return element.getBoundingClientRect().bottom - scroller.getBoundingClientRect().top;
}

/**
 * The first message that reaches into the view, and where its bottom is: its top may be out of
 * view, and loses the name and the day when an older message of the same run joins above it.
 */
function findAnchor(scroller: HTMLElement): View['anchor'] {
    const rows = scroller.querySelectorAll('[data-key]');
    let low = 0;
    let high = rows.length;
    const edge = scroller.getBoundingClientRect().top;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (rows[middle]!.getBoundingClientRect().bottom <= edge) low = middle + 1;
        else high = middle;
    }
    const row = rows[low];
    return row ? { key: row.getAttribute('data-key')!, bottom: bottomOf(row, scroller) } : null;
}
