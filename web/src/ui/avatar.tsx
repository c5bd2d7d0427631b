// SPDX-License-Identifier: MIT
/** A person's picture: the initial on a colour made from the user id. Nothing is fetched. */
import { bucket, initial } from '../base/text';

/** Class that sets the colour of a person; twelve hues. */
export function hueOf(key: string): string {
    return `n${bucket(key, 12)}`;
}

export function Avatar({ name, of, small = false }: { name: string; of: string; small?: boolean }) {
    return (
        <span class={`avatar ${small ? 'small' : ''} ${hueOf(of)}`} aria-hidden="true">
            {initial(name)}
        </span>
    );
}
