// SPDX-License-Identifier: MIT
import { Icon, type IconName } from './icon';

interface Props {
    icon: IconName;
    label: string;
    testid?: string;
    class?: string;
    expanded?: boolean;
    pressed?: boolean;
    onClick: () => void;
}

/** A button with nothing but an icon; the label is what everybody else reads. */
export function IconButton({ icon, label, testid, class: extra = '', expanded, pressed, onClick }: Props) {
    return (
        <button
            type="button" class={`icon-button ${extra}`} aria-label={label} title={label}
            aria-expanded={expanded} aria-pressed={pressed} data-testid={testid} onClick={onClick}
        >
            <Icon name={icon} />
        </button>
    );
}
