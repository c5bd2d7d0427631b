// SPDX-License-Identifier: MIT
/** The icon set: 18 px, one stroke width, drawn in the text colour. Always beside a label. */
const PATHS = {
    menu: 'M4 6h16M4 12h16M4 18h16',
    people: 'M12.2 8a3.2 3.2 0 1 1-6.4 0 3.2 3.2 0 0 1 6.4 0M3 19c0-3 2.7-5 6-5s6 2 6 5M16 5.2a3.2 3.2 0 0 1 0 5.6M18 14.4c1.9.7 3 2.3 3 4.6',
    leave: 'M10 5H6a1 1 0 0 0-1 1v12a1 1 0 0 0 1 1h4M15 8l4 4-4 4M19 12h-9',
    send: 'M5 12h13M12.5 6l6 6-6 6',
    close: 'M6 6l12 12M18 6 6 18',
    down: 'M12 5v13M6 12.500l6 6 6-6',
    system: 'M4 5.500h16v10H4zM9 19.500h6M12 15.500v4',
    light: 'M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0M12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600 7 7M17 17l1.400 1.400M18.400 5.600 17 7M7 17l-1.400 1.400',
    dark: 'M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10z',
    follow: 'M6.5 16.500V11a5.500 5.500 0 0 1 11 0v5.500l1.500 2H5zM10 21h4',
    followed: 'M6.5 16.500V11a5.500 5.500 0 0 1 11 0v5.500l1.500 2H5zM10 21h4M9.500 12.500l2 2 3.500-4',
    clock: 'M20 12a8 8 0 1 1-16 0 8 8 0 0 1 16 0M12 7.500V12l3 2',
    edit: 'M4 20l1-4L16 5l3 3L8 19z',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
    return (
        <svg viewBox="0 0 24 24" aria-hidden="true" class="icon">
            <path d={PATHS[name]} />
        </svg>
    );
}
