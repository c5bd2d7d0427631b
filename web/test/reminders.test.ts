// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseReminder, Reminders, type Reminder } from '../src/store/reminders';

const NOW = new Date(2026, 2, 14, 9, 26, 53).getTime();
const MINUTE = 60_000;

test('a time from now, in any units', () => {
    const cases: [string, number, string][] = [
        ['/remind in 10m tea', 10 * MINUTE, 'tea'],
        ['/remind  in 90s  look  again', 1.5 * MINUTE, 'look  again'],
        ['/remind in 1h30m bake', 90 * MINUTE, 'bake'],
        ['/remind in 1 h 30 m bake', 90 * MINUTE, 'bake'],
        ['/remind in 2d 보고서', 2880 * MINUTE, '보고서'],
        ['/remind in 5m 3 more things', 5 * MINUTE, '3 more things'],
        ['/remind in 5m two\nlines', 5 * MINUTE, 'two\nlines'],
    ];
    for (const [typed, ms, text] of cases) assert.deepEqual(parseReminder(typed, NOW), { at: NOW + ms, text }, typed);
});

test('a time of the day is the next one', () => {
    assert.deepEqual(parseReminder('/remind 09:30 stand-up', NOW), { at: new Date(2026, 2, 14, 9, 30).getTime(), text: 'stand-up' });
    assert.deepEqual(parseReminder('/remind 9:26 stand-up', NOW), { at: new Date(2026, 2, 15, 9, 26).getTime(), text: 'stand-up' });
    assert.deepEqual(parseReminder('/remind 00:00 day', NOW), { at: new Date(2026, 2, 15).getTime(), text: 'day' });
});

test('what is no time, or says nothing, is told how to', () => {
    for (const typed of ['/remind', '/remind ', '/remind me', '/remind in', '/remind in 10m', '/remind in 0m x', '/remind in 10 x',
        '/remind 24:00 x', '/remind 09:60 x', '/remind 09:00', '/remind 0900 x', '/remind in 10mtea',
        `/remind in ${'999999d '.repeat(200)}x`])
        assert.equal(parseReminder(typed, NOW), 'usage', typed);
});

test('other text is none of these', () => {
    for (const typed of ['remind in 10m x', '/reminder in 10m x', ' /remind', 'say /remind in 10m x', ''])
        assert.equal(parseReminder(typed, NOW), null, typed);
});

test('what failed stands before what is set, however late it was to be said', () => {
    const reminders = new Reminders('general');
    const set = (key: string, at: number): Reminder => ({ key, id: key, text: key, at, state: 'set', failure: null });
    const now = Date.now();
    reminders.add(set('b', now + 2 * MINUTE));
    reminders.add(set('a', now + MINUTE));
    reminders.add({ ...set('never', now + 3 * MINUTE), id: null, state: 'setting' });
    reminders.change('never', { state: 'failed', failure: { code: 106, message: 'limit exceeded' } });
    assert.deepEqual(reminders.list.value.map(({ key }) => key), ['never', 'a', 'b']);
    reminders.close();
});
