/** The checker accepts what an order explains and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertExplained } from '../../linearizability/callers.ts';
import type { Answer, Call, Observed } from '../../linearizability/model.ts';

const ok = { is: 'ok' } as const;
const saw = (text: string): Answer => ({ is: 'ok', saw: text });
const refused = (
  code: 'not_found' | 'already_exists' | 'failed_precondition' | 'invalid_argument',
): Answer => ({
  is: 'refused',
  code,
});
const prepare = (key: string, parent = ''): Call => ({ op: 'prepare', key, parent, label: '1' });
const on = (op: 'stat' | 'remove' | 'mounts' | 'usage', key: string): Call => ({ op, key });
const commit = (name: string, key: string): Call => ({ op: 'commit', name, key, label: '2' });

const at = (start: number, end: number, call: Call, answer: Answer): Observed => ({
  call,
  answer,
  start,
  end,
});
const explained = (...history: Observed[]): void => assertExplained(history);
const unexplained = (...history: Observed[]): void => {
  assert.throws(() => assertExplained(history), /no order explains/);
};

test('one after another, each answer must fit', () => {
  explained(
    at(1, 2, prepare('a'), ok),
    at(3, 4, on('stat', 'a'), saw('active of "" with "1"')),
    at(5, 6, commit('l', 'a'), ok),
    at(7, 8, on('stat', 'a'), refused('not_found')),
    at(9, 10, prepare('b', 'l'), ok),
    at(11, 12, on('remove', 'l'), refused('failed_precondition')),
    at(13, 14, { op: 'list' }, saw('b active of "l" with "1"; l committed of "" with "2"')),
    at(15, 16, prepare('c', 'b'), refused('invalid_argument')),
  );
  unexplained(at(1, 2, prepare('a'), ok), at(3, 4, on('stat', 'a'), refused('not_found')));
  unexplained(at(1, 2, prepare('a'), ok), at(3, 4, prepare('a'), ok));
  unexplained(at(1, 2, on('stat', 'a'), saw('active of "" with "1"')));
  unexplained(at(1, 2, prepare('a'), ok), at(3, 4, on('stat', 'a'), saw('active of "" with "old"')));
});

test('overlapping calls may be in either order, later ones may not take it back', () => {
  explained(at(1, 9, prepare('a'), ok), at(2, 3, on('stat', 'a'), refused('not_found')));
  explained(at(1, 9, prepare('a'), ok), at(2, 3, on('stat', 'a'), saw('active of "" with "1"')));
  unexplained(
    at(1, 9, prepare('a'), ok),
    at(2, 3, on('stat', 'a'), saw('active of "" with "1"')),
    at(4, 5, on('stat', 'a'), refused('not_found')),
  );
  explained(at(1, 9, prepare('a'), ok), at(2, 8, prepare('a'), refused('already_exists')));
  unexplained(at(1, 9, prepare('a'), ok), at(2, 8, prepare('a'), ok));
  // Two removals of one snapshot cannot both have done it.
  unexplained(at(1, 2, prepare('a'), ok), at(3, 9, on('remove', 'a'), ok), at(4, 8, on('remove', 'a'), ok));
});

test('a child that is being made holds its parent before it can be seen', () => {
  const layer = [at(1, 2, prepare('a'), ok), at(3, 4, commit('l', 'a'), ok)];
  explained(
    ...layer,
    at(5, 20, prepare('c', 'l'), ok),
    at(6, 7, on('remove', 'l'), refused('failed_precondition')),
    at(8, 9, on('stat', 'c'), refused('not_found')),
  );
  unexplained(
    ...layer,
    at(5, 20, prepare('c', 'l'), ok),
    at(6, 7, on('remove', 'l'), ok),
    at(8, 9, on('stat', 'c'), refused('not_found')),
  );
  unexplained(...layer, at(6, 7, on('remove', 'l'), refused('failed_precondition')));
});

test('a call whose answer nobody heard has had its whole effect or none', () => {
  const unheard = at(1, 10, prepare('a'), { is: 'unknown' });
  explained(unheard, at(11, 12, on('stat', 'a'), saw('active of "" with "1"')));
  explained(unheard, at(11, 12, on('stat', 'a'), refused('not_found')));
  unexplained(
    unheard,
    at(11, 12, on('stat', 'a'), saw('active of "" with "1"')),
    at(13, 14, prepare('a'), ok),
  );
  unexplained(
    unheard,
    at(11, 12, on('stat', 'a'), refused('not_found')),
    at(13, 14, on('stat', 'a'), saw('active of "" with "1"')),
  );
  unexplained(at(1, 2, prepare('a'), refused('not_found')));
});
