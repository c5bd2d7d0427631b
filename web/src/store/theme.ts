// SPDX-License-Identifier: MIT
/** Light, dark, or as the system has it. */
import { effect, signal } from '@preact/signals';
import { load, save } from '../base/persist';

const CHOICES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof CHOICES)[number];

export const theme = signal<Theme>(stored());

function stored(): Theme {
    const value = load('local', 'theme');
    return CHOICES.find((choice) => choice === value) ?? 'system';
}

export function nextTheme(): void {
    theme.value = CHOICES[(CHOICES.indexOf(theme.value) + 1) % CHOICES.length]!;
    save('local', 'theme', theme.value === 'system' ? null : theme.value);
}

/** Keeps the theme in force on the document, as the style sheet wants it. */
export function applyTheme(): void {
    const query = matchMedia('(prefers-color-scheme: dark)');
    const systemDark = signal(query.matches);
    query.addEventListener('change', (event) => { systemDark.value = event.matches; });
    effect(() => {
        const system = systemDark.value ? 'dark' : 'light';
        document.documentElement.dataset.theme = theme.value === 'system' ? system : theme.value;
    });
}
