// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PublicationContext } from 'centrifuge';
import { authorOf, readPublication } from '../src/net/publication';

const read = (data: unknown, rest: Partial<PublicationContext> = {}) =>
    readPublication({ channel: 'c', data, offset: 3, ...rest } as PublicationContext);

test('a message has text, cid, author and the time of the server', () => {
    const info = { user: 'g_1', client: 'c1', connInfo: { name: 'Ari' } };
    assert.deepEqual(read({ cid: 'x', text: 'hi', later: 1 }, { info, tags: { t: '1700000000000' } }), {
        kind: 'message', offset: 3, author: { user: 'g_1', client: 'c1', name: 'Ari' }, text: 'hi', cid: 'x', time: 1700000000000,
    });
});

test('typing is a notice only without an offset; other types hold their place', () => {
    assert.equal(read({ type: 'typing' }, { offset: undefined as never }).kind, 'typing');
    assert.deepEqual(read({ type: 'typing' }), { kind: 'other', offset: 3 });
    assert.deepEqual(read({ type: 'reaction', to: 1 }), { kind: 'other', offset: 3 });
    assert.equal(read({ type: 'message', text: 'a' }).kind, 'message');
});

test('data of any shape is taken without harm', () => {
    for (const data of [1, true, [1, 2], { a: 1 }, { text: 5 }, { cid: 7, text: 'x' }]) {
        const publication = read(data);
        assert.equal(publication.kind, 'message');
        if (publication.kind === 'message') assert.equal(typeof publication.text, 'string');
    }
    assert.equal(read(null).kind, 'other');
    for (const t of ['soon', '1700000000000000000', '-1e300', 'Infinity']) {
        const odd = read({ text: 'x' }, { tags: { t } });
        assert.equal(odd.kind === 'message' && odd.time, 0, t);
    }
});

test('names are cleaned, and there is always one', () => {
    assert.equal(authorOf({ user: 'u', client: 'c', connInfo: { name: ' a\u202e\nb ' } }).name, 'a b');
    assert.equal(authorOf({ user: 'u', client: 'c', connInfo: { name: 5 } }).name, 'u');
    assert.equal(authorOf({ user: '', client: '123456789' }).name, '12345678');
    assert.deepEqual(authorOf(undefined), { user: '', client: '', name: '' });
});

test('only the gateway redacts: who publishes is named, and then it is another kind', () => {
    const info = { user: 'g_1', client: 'c1' };
    const notice = { type: 'redacted', offset: 2, epoch: 'e', reason: 'private' };
    assert.deepEqual(read(notice), { kind: 'redaction', offset: 3, of: { epoch: 'e', offset: 2 } });
    assert.deepEqual(read({ type: 'redacted' }), { kind: 'redacted', offset: 3 });
    for (const data of [notice, { type: 'redacted' }]) assert.deepEqual(read(data, { info }), { kind: 'other', offset: 3 });
    for (const data of [{ ...notice, epoch: 5 }, { ...notice, offset: '2' }])
        assert.deepEqual(read(data), { kind: 'other', offset: 3 });
    assert.deepEqual(read({ type: 'redacted' }, { offset: undefined as never }), { kind: 'other', offset: null });
});
