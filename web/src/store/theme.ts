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

export function applyTheme(): void {
    effect(() => {
        const { dataset } = document.documentElement;
        if (theme.value === 'system') delete dataset.theme;
        else dataset.theme = theme.value;
    });
}
