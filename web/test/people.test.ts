// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Roster } from '../src/store/roster';
import { SHOWN_MS, Typists } from '../src/store/typists';

const who = (user: string, client = user, name = user) => ({ user, client, name });
const names = (roster: Roster): string[] => roster.people().map((person) => person.name);

test('a person with two windows is one person until both are closed', () => {
    const roster = new Roster();
    roster.joined(who('ann', '1'));
    roster.joined(who('ann', '2'));
    roster.joined(who('bob', '3'));
    assert.deepEqual(names(roster), ['ann', 'bob']);
    roster.left(who('ann', '1'));
    assert.deepEqual(names(roster), ['ann', 'bob']);
    roster.left(who('ann', '2'));
    assert.deepEqual(names(roster), ['bob']);
});

test('people without a user count by connection', () => {
    const roster = new Roster();
    roster.joined(who('', '1', 'guest'));
    roster.joined(who('', '2', 'guest'));
    assert.equal(roster.people().length, 2);
});

test('joins and leaves during a presence request are not undone by its answer', () => {
    const roster = new Roster();
    roster.asking();
    roster.left(who('bob'));
    roster.joined(who('cid'));
    roster.answered([who('ann'), who('bob')]);
    assert.deepEqual(names(roster), ['ann', 'cid']);
});

test('an answer replaces what was known, a failed request does not', () => {
    const roster = new Roster();
    roster.joined(who('old'));
    roster.asking();
    roster.unanswered();
    assert.deepEqual(names(roster), ['old']);
    roster.asking();
    roster.answered([who('new')]);
    assert.deepEqual(names(roster), ['new']);
});

test('a typing notice ends by time or by a message', () => {
    const typists = new Typists();
    typists.heard(who('ann'), 0);
    typists.heard(who('bob'), 1000);
    assert.deepEqual(typists.names(1000), ['ann', 'bob']);
    assert.equal(typists.nextEnd, SHOWN_MS);
    assert.deepEqual(typists.names(SHOWN_MS), ['bob']);
    typists.spoke(who('bob'));
    assert.deepEqual(typists.names(SHOWN_MS), []);
    assert.equal(typists.nextEnd, null);
});
