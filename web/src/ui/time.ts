// SPDX-License-Identifier: MIT
/** Times as people read them, in the language of the page. */
import { sameDay } from '../store/layout';
import { language, t } from '../strings';

const clock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(language === 'en' ? 'en-GB' : language, { weekday: 'long', day: 'numeric', month: 'long' });
const dayOfYear = new Intl.DateTimeFormat(language === 'en' ? 'en-GB' : language, { dateStyle: 'full' });
const full = new Intl.DateTimeFormat(language === 'en' ? 'en-GB' : language, { dateStyle: 'full', timeStyle: 'medium' });

const DAY_MS = 86_400_000;

export const clockTime = (time: number): string => clock.format(time);
export const fullTime = (time: number): string => full.format(time);

export function dayName(time: number, now: number): string {
    if (sameDay(time, now)) return t.today;
    if (sameDay(time, now - DAY_MS)) return t.yesterday;
    return new Date(time).getFullYear() === new Date(now).getFullYear() ? day.format(time) : dayOfYear.format(time);
}
