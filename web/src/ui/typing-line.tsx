// SPDX-License-Identifier: MIT
import type { Room } from '../store/room';
import { t } from '../strings';
import { id } from '../testids';

/** Always there and always as high, so nothing moves when somebody types. */
export function TypingLine({ room }: { room: Room }) {
    return <span class="typing" data-testid={id.typing}>{t.typing(room.typing.value)}</span>;
}
