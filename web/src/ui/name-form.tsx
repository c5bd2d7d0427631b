// SPDX-License-Identifier: MIT
/** Asks for a name: the welcome screen, and later the dialog that changes it. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { NAME_LIMIT } from '../net/publication';
import { enterAs } from '../store/chat';
import { identity } from '../store/identity';
import { titleIn } from '../store/route';
import { t } from '../strings';
import { id } from '../testids';
import { isComposing } from './keys';

function NameForm({ action, onDone, onCancel }: { action: string; onDone?: () => void; onCancel?: () => void }) {
    const field = useRef<HTMLInputElement>(null);
    const missing = useSignal(false);
    useEffect(() => {
        field.current?.focus();
        field.current?.select();
    }, []);
    const submit = (event: Event): void => {
        event.preventDefault();
        missing.value = !enterAs(field.current?.value ?? '');
        if (missing.value) field.current?.focus();
        else onDone?.();
    };
    return (
        <form class="name-form" onSubmit={submit}>
            <label for="name">{t.yourName}</label>
            <input
                id="name" ref={field} type="text" data-testid={id.nameInput} maxLength={NAME_LIMIT * 2} autocomplete="nickname"
                defaultValue={identity.value.name} aria-invalid={missing.value} aria-describedby="name-hint" enterkeyhint="go"
                onKeyDown={(event) => { if (isComposing(event) && event.key === 'Enter') event.preventDefault(); }}
            />
            <p id="name-hint" class={missing.value ? 'wrong' : ''}>{missing.value ? t.nameMissing : t.nameHint}</p>
            <div class="buttons">
                {onCancel && <button type="button" class="button" onClick={onCancel}>{t.cancel}</button>}
                <button type="submit" class="button primary" data-testid={id.joinButton}>{action}</button>
            </div>
        </form>
    );
}

export function Welcome() {
    const title = titleIn(location.hash);
    return (
        <main class="welcome">
            <div class="card">
                <h1><span class="logo" aria-hidden="true" />madang</h1>
                <p>{t.tagline}</p>
                <NameForm action={title ? t.enterRoom(title) : t.enter} />
            </div>
        </main>
    );
}

export function NameDialog({ onClose }: { onClose: () => void }) {
    const dialog = useRef<HTMLDialogElement>(null);
    useEffect(() => dialog.current?.showModal(), []);
    return (
        <dialog ref={dialog} class="card" aria-label={t.changeName} onClose={onClose}>
            <NameForm action={t.saveName} onDone={() => dialog.current?.close()} onCancel={() => dialog.current?.close()} />
        </dialog>
    );
}
