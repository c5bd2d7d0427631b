// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCommand, meaningOf } from '../src/store/commands';

const NOW = new Date(2026, 2, 14, 9, 26, 53).getTime();

test('what begins with no slash is said as it is', () => {
    for (const typed of ['hello', 'a / b', '1/2', '\\/help', '⏰ /remind'])
        assert.deepEqual(meaningOf(typed, NOW), { say: typed });
});

test('two slashes stand for one that is said', () => {
    assert.deepEqual(meaningOf('//etc/hosts', NOW), { say: '/etc/hosts' });
    assert.deepEqual(meaningOf('//', NOW), { say: '/' });
    assert.deepEqual(meaningOf('///', NOW), { say: '//' });
});

test('a reminder is one, or is told how', () => {
    assert.deepEqual(meaningOf('/remind in 10m tea', NOW), { remind: { at: NOW + 600_000, text: 'tea' } });
    for (const typed of ['/remind', '/remind me', '/help', '/help remind', '/', '/ x'])
        assert.deepEqual(meaningOf(typed, NOW), { problem: { reason: 'usage' } }, typed);
});

test('what is no command is named, and not said', () => {
    const cases = [['/nick Ann', 'nick'], ['/reminder in 10m tea', 'reminder'], ['/etc/hosts', 'etc/hosts'], ['/지금 뭐해', '지금'],
        [`/${'x'.repeat(50)}`, 'x'.repeat(16)]] as const;
    for (const [typed, name] of cases) assert.deepEqual(meaningOf(typed, NOW), { problem: { reason: 'unknown', name } });
});

test('a command is known as one while it is typed', () => {
    for (const typed of ['/', '/re', '/remind in 10m tea']) assert.equal(isCommand(typed), true, typed);
    for (const typed of ['', '//', '//remind', 'x/', ' /']) assert.equal(isCommand(typed), false, typed);
});
