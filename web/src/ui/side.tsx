// SPDX-License-Identifier: MIT
/** The left column: the room list, the field that joins or creates one, and me. */
import { useSignal } from '@preact/signals';
import type { Feed } from '../net/feed';
import { feeds, join, link, openTitle, type JoinProblem } from '../store/chat';
import { identity } from '../store/identity';
import { hrefOf } from '../store/route';
import { nextTheme, theme } from '../store/theme';
import { t } from '../strings';
import { id } from '../testids';
import { Avatar } from './avatar';
import { IconButton } from './icon-button';
import { isComposing } from './keys';
import { closeSheet, leaveSheet } from './sheet';

export function Side({ onRename }: { onRename: () => void }) {
    return (
        <nav class="side sheet-rooms" aria-label={t.rooms}>
            <header>
                <span class="logo" aria-hidden="true" />
                <span class="brand">madang</span>
                <span data-testid={id.themeButton} data-theme-choice={theme.value}>
                    <IconButton icon={theme.value} label={t.theme[theme.value]} onClick={nextTheme} />
                </span>
                <IconButton icon="close" class="sheet-close" label={t.close} onClick={closeSheet} />
            </header>
            <NewRoom />
            <div class="rooms">
                <h2 class="section">{t.rooms}</h2>
                <ul data-testid={id.roomList}>
                    {feeds.value.map((feed) => <RoomLink key={feed.room.channel} feed={feed} />)}
                </ul>
            </div>
            <Me onRename={onRename} />
        </nav>
    );
}

function NewRoom() {
    const problem = useSignal<JoinProblem | null>(null);
    const submit = (field: HTMLInputElement): void => {
        problem.value = join(field.value);
        if (problem.value !== null) return;
        field.value = '';
        leaveSheet();
    };
    return (
        <form class="new-room" onSubmit={(event) => { event.preventDefault(); submit(event.currentTarget.querySelector('input')!); }}>
            <input
                id="new-room" data-testid={id.newRoomInput} type="text" autocomplete="off" spellcheck={false} enterkeyhint="go"
                placeholder={t.newRoom} aria-label={t.newRoom} aria-invalid={problem.value !== null}
                aria-describedby={problem.value ? 'new-room-problem' : undefined}
                onInput={() => { problem.value = null; }}
                onKeyDown={(event) => { if (isComposing(event) && event.key === 'Enter') event.preventDefault(); }}
            />
            <kbd>{isApple() ? '⌘K' : 'Ctrl K'}</kbd>
            {problem.value && <p id="new-room-problem" role="alert">{t.newRoomProblem[problem.value]}</p>}
        </form>
    );
}

function isApple(): boolean {
    return /Mac|iPhone|iPad/.test(navigator.platform);
}

function RoomLink({ feed: { room } }: { feed: Feed }) {
    const open = openTitle.value === room.title;
    const unread = room.unread.value;
    return (
        <li>
            <a
                href={hrefOf(room.title)} class={unread > 0 ? 'unread' : ''} aria-current={open ? 'page' : undefined}
                data-testid={id.roomLink} data-room={room.title} data-unread={unread} onClick={leaveSheet}
            >
                <span class="hash" aria-hidden="true">#</span>
                <bdi class="name">{room.title}</bdi>
                {unread > 0 && <span class="count">{unread > 99 ? '99+' : unread}<span class="sr"> {t.unread}</span></span>}
            </a>
        </li>
    );
}

function Me({ onRename }: { onRename: () => void }) {
    const { name, user, key } = identity.value;
    const { phase } = link.state.value;
    return (
        <button type="button" class="me" title={t.changeName} data-testid={id.meButton} onClick={onRename}>
            <Avatar name={name} of={user || key} />
            <span class="who">
                <b><bdi>{name}</bdi></b>
                <span class="phase" data-testid={id.connection} data-phase={phase}>
                    <span class={`dot ${phase}`} />{t.connection[phase]}
                </span>
            </span>
        </button>
    );
}
