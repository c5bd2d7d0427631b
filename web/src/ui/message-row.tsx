// SPDX-License-Identifier: MIT
/** One message. Drawn again only when it changes: a window holds hundreds of them. */
import { Component } from 'preact';
import type { Feed } from '../net/feed';
import { link } from '../store/chat';
import { authorKey, type Failure, type Message } from '../store/message';
import { t } from '../strings';
import { id } from '../testids';
import { Avatar, hueOf } from './avatar';
import { partsOf } from './links';
import { clockTime, fullTime } from './time';

interface Props {
    feed: Feed;
    message: Message;
    /** Begins a run of its author: shows picture, name and time. */
    first: boolean;
}

export class MessageRow extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
        const { message, first, feed } = this.props;
        return next.message !== message || next.first !== first || next.feed !== feed;
    }

    override render() {
        const { feed, message, first } = this.props;
        const { author, state, redacted = false } = message;
        const known = author.name !== '';
        const of = authorKey(author);
        return (
            <li
                class={`message ${first ? 'first' : ''} ${state} ${redacted ? 'redacted' : ''}`} data-testid={id.message} data-key={message.key}
                data-offset={message.offset ?? ''} data-cid={message.cid ?? ''} data-state={state} data-user={author.user}
                data-redacted={redacted}
            >
                {first && known ? <Avatar name={author.name} of={of} /> : <span class="gutter"><Time time={message.time} /></span>}
                <div>
                    {first && known
                        ? <div class="head"><bdi class={`nick ${hueOf(of)}`} title={author.user}>{author.name}</bdi><Time time={message.time} /></div>
                        : <span class="sr">{author.name}</span>}
                    <div class="text" dir="auto" data-testid={id.messageText}>
                        {redacted ? t.redacted : <Text text={message.text} />}
                    </div>
                    {state !== 'sent' && <Status feed={feed} message={message} />}
                </div>
            </li>
        );
    }
}

/** Nothing where the time is not known. */
function Time({ time }: { time: number }) {
    if (time === 0) return null;
    return <time dateTime={new Date(time).toISOString()} title={fullTime(time)}>{clockTime(time)}</time>;
}

function Text({ text }: { text: string }) {
    return (
        <>
            {partsOf(text).map(({ text: part, href }) => href === null ? part : (
                <a href={href} target="_blank" rel="noopener noreferrer nofollow ugc">{part}</a>
            ))}
        </>
    );
}

function Status({ feed, message }: { feed: Feed; message: Message }) {
    const cid = message.cid;
    if (message.state !== 'failed' || cid === null) {
        if (link.state.value.phase !== 'connected') return <div class="status">{t.waiting}</div>;
        if (link.held.value) return <div class="status">{t.waitingHeld}</div>;
        return <div class="status late">{t.sending}</div>;
    }
    return (
        <div class="status">
            <span>{t.notSent(reasonOf(message.failure))}</span>
            <button type="button" data-testid={id.retryButton} onClick={() => void feed.resend(cid)}>{t.retry}</button>
            <button type="button" data-testid={id.editButton} onClick={() => feed.room.edit(cid)}>{t.edit}</button>
            <button type="button" data-testid={id.deleteButton} onClick={() => feed.room.remove(cid)}>{t.remove}</button>
        </div>
    );
}

export function reasonOf(failure: Failure | null): string {
    if (failure === null) return '';
    const moderated = failure.code === 103 && failure.message !== 'permission denied';
    if (moderated) return t.failureOther(failure.message, 103);
    const known = t.failure[failure.code];
    return known ?? t.failureOther(failure.message, Number(failure.code));
}
