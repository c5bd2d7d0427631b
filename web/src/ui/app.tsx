// SPDX-License-Identifier: MIT
/** The page: rooms, messages, members; or the welcome screen while there is no name. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Feed } from '../net/feed';
import { followed, leave, openFeed, step, totalUnread } from '../store/chat';
import { identity } from '../store/identity';
import type { Failure } from '../store/message';
import type { Room } from '../store/room';
import { t } from '../strings';
import { id } from '../testids';
import { Announcer } from './announcer';
import { Banner } from './banner';
import { Composer } from './composer';
import { IconButton } from './icon-button';
import { isComposing } from './keys';
import { Log } from './log';
import { Members } from './members';
import { reasonOf } from './message-row';
import { NameDialog, Welcome } from './name-form';
import { closeSheet, openSheet, sheet } from './sheet';
import { Side } from './side';

export function App() {
    return identity.value.name === '' ? <Welcome /> : <Chat />;
}

function Chat() {
    const renaming = useSignal(false);
    const feed = openFeed.value;
    useEffect(() => {
        document.addEventListener('keydown', shortcut);
        return () => document.removeEventListener('keydown', shortcut);
    }, []);
    return (
        <>
            <a class="skip" href="#composer" onClick={skip}>{t.skip}</a>
            <div class="app" data-sheet={sheet.value}>
                <Side onRename={() => { renaming.value = true; }} />
                <main inert={sheet.value !== null}>
                    <Head feed={feed} />
                    <Banner />
                    {feed ? <RoomView key={feed.room.channel} feed={feed} /> : <NoRoom />}
                </main>
                <Members room={feed?.room ?? null} />
                {sheet.value !== null && <div class="backdrop" onClick={closeSheet} />}
            </div>
            {renaming.value && <NameDialog onClose={() => { renaming.value = false; }} />}
        </>
    );
}

function Head({ feed }: { feed: Feed | null }) {
    const people = feed?.room.people.value.length ?? 0;
    const unread = totalUnread.value;
    return (
        <header class="head-bar">
            <span class={`narrow ${unread > 0 ? 'marked' : ''}`}>
                <IconButton
                    icon="menu" label={t.openRooms(unread)} testid={id.roomsButton}
                    expanded={sheet.value === 'rooms'} onClick={() => openSheet('rooms')}
                />
            </span>
            <h1 data-testid={id.roomTitle}>{feed && <><span aria-hidden="true"># </span><bdi>{feed.room.title}</bdi></>}</h1>
            <p>{people > 0 ? t.here(people) : ''}</p>
            {feed && (
                <>
                    <FollowButton key={feed.room.channel} room={feed.room} />
                    <IconButton icon="leave" label={t.leave(feed.room.title)} testid={id.leaveButton} onClick={() => leave(feed)} />
                    <span class="medium">
                        <IconButton
                            icon="people" label={t.openMembers(people)} testid={id.membersButton}
                            expanded={sheet.value === 'members'} onClick={() => openSheet('members')}
                        />
                    </span>
                </>
            )}
        </header>
    );
}

/** What the gateway says when it will not is in the button's name, until it is pressed again. */
function FollowButton({ room }: { room: Room }) {
    const problem = useSignal<string | null>(null);
    const on = room.followed.value;
    if (room.history.value === 'unavailable' || room.state.value !== 'open') return null;
    const toggle = async (): Promise<void> => {
        problem.value = null;
        try {
            await (on ? followed.unfollow(room) : followed.follow(room));
        } catch (error) {
            problem.value = reasonOf(error as Failure);
        }
    };
    const label = on ? t.unfollow(room.title) : t.follow(room.title);
    return (
        <IconButton
            icon={on ? 'followed' : 'follow'} label={problem.value ? t.notFollowed(problem.value) : label}
            testid={id.followButton} pressed={on} onClick={() => void toggle()}
        />
    );
}

function RoomView({ feed }: { feed: Feed }) {
    const { room } = feed;
    if (room.state.value === 'refused') {
        return (
            <div class="empty" role="alert" data-testid={id.roomProblem}>
                <b>{t.roomRefused(room.title)}</b>
                <span>{reasonOf(room.problem.value)}</span>
                <button type="button" class="button" onClick={() => feed.reopen()}>{t.retry}</button>
            </div>
        );
    }
    return (
        <>
            <Log feed={feed} />
            <Composer feed={feed} />
            <Announcer room={room} />
        </>
    );
}

function NoRoom() {
    return <div class="empty"><b>{t.noRoom}</b><span>{t.noRoomHint}</span></div>;
}

/** The link's own address is not a room, so it must not be followed. */
function skip(event: Event): void {
    event.preventDefault();
    document.getElementById('composer')?.focus();
}

function shortcut(event: KeyboardEvent): void {
    if (isComposing(event)) return;
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        if (matchMedia('(max-width: 759px)').matches) openSheet('rooms');
        requestAnimationFrame(() => document.getElementById('new-room')?.focus());
    } else if (event.altKey && !event.ctrlKey && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
        event.preventDefault();
        step(event.key === 'ArrowUp' ? -1 : 1);
    } else if (event.key === 'Escape') {
        closeSheet();
    }
}
