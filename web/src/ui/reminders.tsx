// SPDX-License-Identifier: MIT
/** What I have asked to be said here later: when, what, and Undo. */
import type { Feed } from '../net/feed';
import type { Reminder } from '../store/reminders';
import { t } from '../strings';
import { id } from '../testids';
import { Icon } from './icon';
import { reasonOf } from './message-row';
import { clockTime, dayName, fullTime } from './time';

/** Error code: too many of them, too long, or too far ahead. */
const LIMIT = 106;

export function Reminders({ feed }: { feed: Feed }) {
    const list = feed.room.reminders.list.value;
    return (
        <div role="status" class="reminders" aria-label={t.reminders}>
            {list.length > 0 && <ul>{list.map((one) => <Row key={one.key} feed={feed} reminder={one} />)}</ul>}
        </div>
    );
}

function Row({ feed, reminder }: { feed: Feed; reminder: Reminder }) {
    const { key, at, text, state, failure } = reminder;
    return (
        <li class={state} data-testid={id.reminder} data-state={state} data-at={at}>
            <Icon name="clock" />
            {state === 'failed'
                ? <span class="over">{t.reminderFailed(failure?.code === LIMIT ? t.reminderLimit : reasonOf(failure))}</span>
                : <time dateTime={new Date(at).toISOString()} title={fullTime(at)}>{t.reminderAt(dayName(at, Date.now()), clockTime(at))}</time>}
            <span class="what" dir="auto">{text}</span>
            {state === 'failed'
                ? <button type="button" data-testid={id.reminderUndo} onClick={() => feed.room.reminders.remove(key)}>{t.remove}</button>
                : <button type="button" data-testid={id.reminderUndo} disabled={state !== 'set'} onClick={() => void feed.undoReminder(key)}>{t.undo}</button>}
        </li>
    );
}
