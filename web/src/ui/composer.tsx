// SPDX-License-Identifier: MIT
/**
 * Where messages are typed. The text area keeps its own value, so nothing rewrites it while an
 * input method composes. Enter sends on a keyboard and breaks the line on a touch screen;
 * sending hangs on keydown only, because an Enter that confirms a composition ends with an
 * ordinary keyup.
 */
import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { codePoints } from '../base/text';
import type { Feed } from '../net/feed';
import { isCommand, meaningOf, type Problem } from '../store/commands';
import { draftOf, keepDraft } from '../store/drafts';
import { t } from '../strings';
import { id } from '../testids';
import { Icon } from './icon';
import { isComposing, isTouch } from './keys';
import { Reminders } from './reminders';
import { TypingLine } from './typing-line';

/** Code points in a message; well inside what the gateway takes for one command. */
const LIMIT = 4000;
const COUNTER_FROM = LIMIT * 0.8;
/** A fast typist must not post into the wrong room. */
const SWITCH_MS = 500;
const HALVES = /\p{Cs}/gu;

export function Composer({ feed }: { feed: Feed }) {
    const { room } = feed;
    const field = useRef<HTMLTextAreaElement>(null);
    const length = useSignal(0);
    const openedAt = useRef(Date.now());
    const command = useSignal(false);
    const problem = useSignal<Problem | null>(null);

    const changed = (): void => {
        if (!field.current) return;
        fit(field.current);
        length.value = codePoints(field.current.value);
        command.value = isCommand(field.current.value.trimStart());
        problem.value = null;
    };
    const put = (text: string): void => {
        if (!field.current) return;
        field.current.value = text;
        keepDraft(room.title, text);
        changed();
    };

    useEffect(() => {
        put(draftOf(room.title));
        if (!isTouch()) field.current?.focus();
    }, []);
    useSignalEffect(() => {
        const text = room.restored.value;
        if (text === null || !field.current) return;
        room.restored.value = null;
        put([text, field.current.value].filter((part) => part !== '').join('\n'));
        field.current.focus();
    });

    const send = (): void => {
        const text = (field.current?.value ?? '').replace(HALVES, '').trim();
        if (text === '' || codePoints(text) > LIMIT || !field.current) return;
        const meaning = meaningOf(text, Date.now());
        if ('problem' in meaning) {
            problem.value = meaning.problem;
            return;
        }
        if ('remind' in meaning) {
            feed.remind(meaning.remind.at, meaning.remind.text);
        } else {
            room.view.stuck = true;
            feed.send(meaning.say);
        }
        put('');
        field.current.focus();
    };
    const typed = (): void => {
        const text = field.current?.value ?? '';
        keepDraft(room.title, text);
        changed();
        if (text.trim() !== '' && !command.value) feed.typing();
    };
    const pressed = (event: KeyboardEvent): void => {
        if (isComposing(event)) return;
        if (event.key === 'PageUp' || event.key === 'PageDown') return scrollLog(event);
        if (event.key !== 'Enter' || event.shiftKey || event.altKey) return;
        if (isTouch() && !event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        if (Date.now() - openedAt.current >= SWITCH_MS) send();
    };

    const over = length.value - LIMIT;
    return (
        <div class="composer-area">
            <Reminders feed={feed} />
            <form class="composer" onSubmit={(event) => { event.preventDefault(); send(); }}>
                <textarea
                    id="composer" ref={field} rows={1} data-testid={id.composer} aria-label={t.message(room.title)}
                    placeholder={t.message(room.title)} enterkeyhint={isTouch() ? 'enter' : 'send'}
                    autocomplete="off" onInput={typed} onKeyDown={pressed}
                />
                <button
                    type="submit" class="send" aria-label={t.send} title={t.send} data-testid={id.sendButton}
                    disabled={length.value === 0 || over > 0}
                >
                    <Icon name="send" />
                </button>
            </form>
            <div class="under-composer">
                {problem.value
                    ? <span class="over" role="alert" data-testid={id.commandProblem}>{sayProblem(problem.value)}</span>
                    : command.value
                        ? <span data-testid={id.commandHint}>{t.commandUsage}</span>
                        : <TypingLine room={room} />}
                {length.value > COUNTER_FROM
                    ? <span class={over > 0 ? 'over' : ''}>{over > 0 ? t.tooLong(over) : t.left(-over)}</span>
                    : <span class="key-hint">{t.keys}</span>}
            </div>
        </div>
    );
}

function sayProblem(problem: Problem): string {
    return problem.reason === 'unknown' ? t.commandUnknown(problem.name) : t.commandUsage;
}

/** Grows with its text; the style sheet says how far. */
function fit(field: HTMLTextAreaElement): void {
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
}

function scrollLog(event: KeyboardEvent): void {
    const log = document.querySelector('.log');
    if (!log) return;
    event.preventDefault();
    log.scrollBy({ top: log.clientHeight * (event.key === 'PageUp' ? -0.9 : 0.9) });
}
