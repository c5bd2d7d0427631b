// SPDX-License-Identifier: MIT
/** The right column: who is in the open room. */
import type { Room } from '../store/room';
import { identity } from '../store/identity';
import { t } from '../strings';
import { id } from '../testids';
import { Avatar } from './avatar';
import { IconButton } from './icon-button';
import { closeSheet } from './sheet';

/** More than anybody reads; the heading says how many there are. */
const MOST_SHOWN = 200;

export function Members({ room }: { room: Room | null }) {
    const people = room?.people.value ?? [];
    const hidden = people.length - MOST_SHOWN;
    return (
        <aside class="members sheet-members" aria-label={t.members}>
            <header>
                <h2 class="section">{t.online(people.length)}</h2>
                <IconButton icon="close" class="sheet-close" label={t.close} onClick={closeSheet} />
            </header>
            <ul data-testid={id.memberList}>
                {people.slice(0, MOST_SHOWN).map((person) => (
                    <li key={person.key} data-testid={id.member} data-user={person.user}>
                        <span class="pictured"><Avatar name={person.name} of={person.key} small /><span class="dot connected" /></span>
                        <bdi class="name" title={person.user}>{person.name}</bdi>
                        {person.user !== '' && person.user === identity.value.user && <span class="you">{t.you}</span>}
                    </li>
                ))}
                {hidden > 0 && <li class="more">{t.andMore(hidden)}</li>}
            </ul>
        </aside>
    );
}
