// SPDX-License-Identifier: MIT
/**
 * The whole chat: my identity, the connection, the joined rooms and the open one. The page calls
 * these functions and draws from these signals; everything else hangs off a room.
 */
import { batch, computed, effect, signal } from '@preact/signals';
import { load, save } from '../base/persist';
import { Feed } from '../net/feed';
import { Followed } from '../net/followed';
import { Link } from '../net/link';
import { canonicalTitle, titleProblem, type TitleProblem } from './channel';
import { identity, setName, setUser } from './identity';
import type { Author } from './message';
import { Room } from './room';
import { hrefOf, titleIn } from './route';

/** The gateway allows 128 subscriptions per connection; some are left for other uses. */
const MOST_ROOMS = 100;
/** Where newcomers meet. */
const FIRST_ROOM = 'general';

export const link = new Link(endpoint());
/** Joined rooms, in the order of joining. */
export const feeds = signal<readonly Feed[]>([]);
export const followed = new Followed(link, () => feeds.value.map((feed) => feed.room));
export const openTitle = signal<string | null>(null);
export const openFeed = computed(() => feeds.value.find((feed) => feed.room.title === openTitle.value) ?? null);
export const totalUnread = computed(() => feeds.value.reduce((sum, feed) => sum + feed.room.unread.value, 0));

const me = computed((): Author => ({
    user: identity.value.user, client: link.state.value.phase === 'connected' ? link.clientId : '', name: identity.value.name,
}));

function endpoint(): string {
    return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/connection/websocket`;
}

/** Goes on where the last visit ended, if there was one. */
export function start(): void {
    addEventListener('hashchange', () => follow());
    effect(() => {
        const title = openTitle.value;
        document.title = (totalUnread.value > 0 ? `(${totalUnread.value}) ` : '') + (title ? `#${title} – madang` : 'madang');
    });
    effect(() => learnUser());
    if (identity.value.name !== '') enter();
}

/** Connects under the name as typed; also changes the name later. False if it is no name. */
export function enterAs(name: string): boolean {
    if (!setName(name)) return false;
    enter();
    return true;
}

function enter(): void {
    const { key, name } = identity.value;
    link.start({ guest: { key, name } });
    if (feeds.value.length > 0) return;
    batch(() => {
        for (const title of rememberedRooms()) add(title);
        follow();
    });
}

/** My own connection among the people of a room tells my user id. */
function learnUser(): void {
    for (const { room } of feeds.value) {
        if (room.people.value.length === 0) continue;
        const own = room.roster.find(link.clientId);
        if (own) return setUser(own.user);
    }
}

export type JoinProblem = TitleProblem | 'many';

/** Joins the room (which creates it) and opens it. Returns why not, or null. */
export function join(typed: string): JoinProblem | null {
    const title = canonicalTitle(typed);
    const problem = titleProblem(title);
    if (problem !== null) return problem;
    if (!find(title) && feeds.value.length >= MOST_ROOMS) return 'many';
    open(title);
    return null;
}

export function open(title: string): void {
    const hash = hrefOf(title);
    if (location.hash !== hash) history.pushState(null, '', hash);
    show(title);
}

export function leave(feed: Feed): void {
    const index = feeds.value.indexOf(feed);
    feeds.value = feeds.value.filter((other) => other !== feed);
    if (feed.room.followed.value) followed.unfollow(feed.room).catch(() => {}); // it can be joined again
    feed.close();
    remember();
    const next = feeds.value[Math.min(index, feeds.value.length - 1)];
    if (next) {
        open(next.room.title);
    } else {
        history.pushState(null, '', location.pathname);
        openTitle.value = null;
    }
}

/** Opens the room above or below the open one in the list. */
export function step(by: 1 | -1): void {
    const list = feeds.value;
    const index = list.findIndex((feed) => feed.room.title === openTitle.value);
    const next = list[(index + by + list.length) % list.length];
    if (next) open(next.room.title);
}

/** Does what the address says. */
function follow(): void {
    if (identity.value.name === '') return;
    const title = titleIn(location.hash);
    if (title !== null && (find(title) || feeds.value.length < MOST_ROOMS)) return show(title);
    const last = load('local', 'last');
    const fallback = feeds.value.find((feed) => feed.room.title === last) ?? feeds.value[0];
    const home = fallback ? fallback.room.title : FIRST_ROOM;
    history.replaceState(null, '', hrefOf(home));
    show(home);
}

function show(title: string): void {
    batch(() => {
        if (!find(title)) add(title);
        openFeed.value?.hide();
        openTitle.value = title;
        openFeed.value?.show();
    });
    save('local', 'last', title);
}

function find(title: string): Feed | undefined {
    return feeds.value.find((feed) => feed.room.title === title);
}

function add(title: string): void {
    const feed = new Feed(link, new Room(title, () => me.value));
    feeds.value = [...feeds.value, feed];
    followed.enter(feed.room);
    remember();
}

function remember(): void {
    save('local', 'rooms', feeds.value.map((feed) => feed.room.title));
}

/** Joined rooms of the last visit; whatever else is in storage is ignored. */
function rememberedRooms(): string[] {
    const stored = load('local', 'rooms');
    if (!Array.isArray(stored)) return [];
    const titles = stored.filter((title) => typeof title === 'string').map(canonicalTitle);
    return [...new Set(titles)].filter((title) => titleProblem(title) === null).slice(0, MOST_ROOMS);
}
