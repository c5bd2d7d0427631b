// SPDX-License-Identifier: MIT
/**
 * Who I am: a guest with a random key that this browser keeps, and a name. The key is what
 * makes me the same user tomorrow; it goes to the gateway only, inside the connect command.
 */
import { signal } from '@preact/signals';
import { oneLine } from '../base/text';
import { load, save } from '../base/persist';
import { randomId } from '../base/random';
import { NAME_LIMIT } from '../net/publication';

/** 32 characters of 6 random bits: 24 bytes. */
const KEY_LENGTH = 32;

export interface Identity {
    readonly key: string;
    readonly name: string;
    /** My user id as the gateway gave it; "" until it is known. */
    readonly user: string;
}

export const identity = signal<Identity>(stored());

function stored(): Identity {
    const value = load('local', 'guest') as Partial<Identity> | null;
    const key = typeof value?.key === 'string' && value.key.length >= KEY_LENGTH ? value.key : randomId(KEY_LENGTH);
    const name = typeof value?.name === 'string' ? oneLine(value.name, NAME_LIMIT) : '';
    const user = typeof value?.user === 'string' ? value.user : '';
    return { key, name, user };
}

/** Takes a name as typed; returns false if nothing of it is left. */
export function setName(typed: string): boolean {
    const name = oneLine(typed, NAME_LIMIT);
    if (name === '') return false;
    change({ ...identity.value, name });
    return true;
}

export function setUser(user: string): void {
    if (user !== identity.value.user) change({ ...identity.value, user });
}

function change(next: Identity): void {
    identity.value = next;
    save('local', 'guest', next);
}
