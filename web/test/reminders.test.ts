// SPDX-License-Identifier: MIT
import './browser';
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

/** Another tab has stored something there. */
const heard = (title: string): void => {
    dispatchEvent(Object.assign(new Event('storage'), { key: `madang.reminders.${title}` }));
};

test('tabs of one browser show the same, but for what failed in one of them', () => {
    const [here, there] = [new Reminders('shared'), new Reminders('shared')];
    const at = Date.now() + MINUTE;
    const texts = (tab: Reminders) => tab.list.value.map(({ text, state }) => `${text} ${state}`);
    here.add({ key: 'a', id: null, text: 'tea', at, state: 'setting', failure: null });
    heard('shared');
    assert.deepEqual(texts(there), ['tea setting']);
    there.add({ key: 'b', id: null, text: 'cake', at: at + 1, state: 'setting', failure: null });
    here.change('a', { id: 'of tea', state: 'set' }); // before it has heard of the other
    heard('shared');
    for (const tab of [here, there]) assert.deepEqual(texts(tab), ['tea set', 'cake setting']);
    there.change('b', { state: 'failed', failure: { code: 106, message: 'limit exceeded' } });
    here.change('a', { state: 'undoing' });
    heard('shared');
    assert.deepEqual(texts(here), ['tea undoing']);
    assert.deepEqual(texts(there), ['cake failed', 'tea set']);
    here.remove('a');
    heard('shared');
    assert.deepEqual([texts(here), texts(there)], [[], ['cake failed']]);
    const later = new Reminders('shared');
    assert.deepEqual(texts(later), []);
    for (const tab of [here, there, later]) tab.close();
});

test('what is set outlives the tab, and what was said goes from all', () => {
    const first = new Reminders('lasting');
    first.add({ key: 'a', id: 'of tea', text: 'tea', at: Date.now() + MINUTE, state: 'set', failure: null });
    first.add({ key: 'b', id: 'of cake', text: 'cake', at: Date.now() - MINUTE, state: 'set', failure: null });
    first.close();
    const second = new Reminders('lasting');
    assert.deepEqual(second.list.value.map(({ key, state }) => `${key} ${state}`), ['a set']);
    second.close();
    assert.deepEqual(JSON.parse(localStorage.getItem('madang.reminders.lasting')!).length, 1);
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
