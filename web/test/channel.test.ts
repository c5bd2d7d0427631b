// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalTitle, channelOf, titleProblem } from '../src/store/channel';
import { hrefOf, titleIn } from '../src/store/route';

test('titles become one line, lower case, blanks as hyphens, any script', () => {
    assert.equal(canonicalTitle('  Design   Review '), 'design-review');
    assert.equal(canonicalTitle('# deploys'), 'deploys');
    assert.equal(canonicalTitle('릴리스 노트'), '릴리스-노트');
    assert.equal(canonicalTitle('릴리스'.normalize('NFD')), '릴리스');
    assert.equal(canonicalTitle('a\u202eb\u0000c\nd'), 'abc-d');
    assert.equal(canonicalTitle(' \t# '), '');
});

test('characters with a meaning in channel names are encoded, each title its own channel', () => {
    assert.equal(channelOf('general'), 'general');
    assert.equal(channelOf('릴리스-노트'), '릴리스-노트');
    assert.equal(channelOf('$a:b#c&d*e/f'), '%24a%3Ab%23c%26d%2Ae%2Ff');
    assert.notEqual(channelOf('a:b'), channelOf('a%3ab'));
    assert.notEqual(channelOf('a:b'), channelOf('a%3Ab'));
});

test('a title is limited by the bytes of its channel', () => {
    assert.equal(titleProblem(''), 'empty');
    assert.equal(titleProblem('가'.repeat(64)), null);
    assert.equal(titleProblem('😀'.repeat(64)), 'long');
    assert.equal(titleProblem(canonicalTitle('x'.repeat(500))), null);
});

test('addresses round-trip and anything else is no room', () => {
    for (const title of ['general', '릴리스-노트', 'a/b?c#d', '100%', '$x:y']) {
        assert.equal(titleIn(hrefOf(title)), title);
    }
    for (const hash of ['', '#', '#/r/', '#/r/%', '#/x/general', '#/r/%20%20']) assert.equal(titleIn(hash), null);
});
