import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasCode } from '../../../src/base/errors.ts';
import { patternCost } from '../../../src/snapshotter/filter-cost.ts';
import { createPatternBudget } from '../../../src/snapshotter/filter-pattern.ts';
import { parseFilters } from '../../../src/snapshotter/filter.ts';
import type { SnapshotInfo } from '../../../src/snapshotter/snapshotter.ts';

function snapshot(some: Partial<SnapshotInfo>): SnapshotInfo {
  return { name: 'n', parent: '', kind: 'active', createdAtMs: 0, updatedAtMs: 0, labels: {}, ...some };
}

const SNAPSHOTS: readonly SnapshotInfo[] = [
  snapshot({ name: 'default/1/base', kind: 'committed', labels: { 'containerd.io/gc.root': '2026' } }),
  snapshot({ name: 'default/2/child', parent: 'default/1/base', kind: 'committed', labels: { tier: '' } }),
  snapshot({ name: 'default/3/box', parent: 'default/2/child', labels: { tier: 'web', 'a b': 'x,y' } }),
  snapshot({ name: 'k8s.io/4/look', parent: 'default/2/child', kind: 'view', labels: { tier: 'w"eb\n' } }),
  snapshot({ name: 'ünï "cödé"', labels: { tier: 'wéb', __proto__: 'not a label' } }),
];

/** The numbers (from 1) of the snapshots that match. */
function matching(...filters: string[]): number[] {
  const predicate = parseFilters(filters);
  return SNAPSHOTS.flatMap((each, index) => (predicate(each) ? [index + 1] : []));
}

function refusal(filters: readonly string[]): string {
  let refused: unknown;
  try {
    parseFilters(filters);
  } catch (error) {
    refused = error;
  }
  assert.ok(hasCode(refused, 'invalid_argument'), `${JSON.stringify(filters).slice(0, 200)} was not refused`);
  return refused.message;
}

const ALL = [1, 2, 3, 4, 5];

describe('filters that match', () => {
  const cases: readonly (readonly [filters: string[], expected: number[]])[] = [
    [[], ALL],
    [[''], ALL],
    [['name==nobody', ''], ALL],
    // Fields and presence.
    [['name'], ALL],
    [['parent'], [2, 3, 4]],
    [['kind'], ALL],
    [['labels.tier'], [2, 3, 4, 5]],
    [['labels'], []],
    [['size'], []],
    [['""'], []],
    [['labels.__proto__'], []],
    [['labels.constructor'], []],
    [['name.below=="default/1/base"'], [1]],
    [['"name"=="default/1/base"'], [1]],
    // Operators.
    [['name==default/1/base'], [1]],
    [['kind==committed'], [1, 2]],
    [['kind==view'], [4]],
    [['kind!=view'], [1, 2, 3, 5]],
    [['parent==default/2/child'], [3, 4]],
    [['parent!=default/2/child'], [1, 2, 5]],
    [['parent==""'], []],
    [['labels.tier==""'], [2]],
    [['labels.tier!=""'], [3, 4, 5]],
    [['size!=1'], ALL],
    [['size==""'], []],
    [['name~=^default/[12]/'], [1, 2]],
    [['name~=box'], [3]],
    [['parent~=/.*/'], ALL],
    [['size~=^$'], ALL],
    [['labels.tier~=^w.b$'], [3, 5]],
    [['labels.tier~=b$'], [3, 5]],
    [['name~=(?i)BOX'], [3]],
    // Quoted fields and label keys with dots.
    [['labels."containerd.io/gc.root"'], [1]],
    [['labels."containerd.io/gc.root"==2026'], [1]],
    [['labels."containerd.io/gc".root'], [1]],
    [['labels."a b"=="x,y"'], [3]],
    [['labels."\\x61\\u0020\\142"'], [3]],
    // Values.
    [['name=="ünï \\"cödé\\""'], [5]],
    [['name=="\\u00fcn\\303\\257 \\"c\\U000000f6d\\xc3\\xa9\\""'], [5]],
    [['labels.tier=="w\\"eb\\n"'], [4]],
    [['labels.tier==wéb'], [5]],
    // Regular expressions between other quotes.
    [['name~=/^default\\/[12]\\//'], [1, 2]],
    [['name~=|^default/[12]/|'], [1, 2]],
    [['labels."a b"~=|x,y|'], [3]],
    [['name~=|box\\|look|'], [3, 4]],
    [['name~=/b{1,1}o/,kind==active'], [3]],
    // All of one filter, any of several.
    [['kind==committed,parent'], [2]],
    [['kind==committed,kind==view'], []],
    [
      ['kind==view', 'labels.tier==web'],
      [3, 4],
    ],
    // White space before a token.
    [[' kind == \t committed,\n parent'], [2]],
    [['labels. tier'], [2, 3, 4, 5]],
    [['kind==view,"name"'], [4]],
    [['labels.tier\u00a0==\u3000web'], [3]],
  ];
  for (const [filters, expected] of cases) {
    it(JSON.stringify(filters), () => assert.deepEqual(matching(...filters), expected));
  }

  it('escapes of every kind', () => {
    const predicate = parseFilters(['name=="\\a\\b\\f\\n\\r\\t\\v\\\\\\"\\0011\\x411\\ud800"']);
    assert.ok(predicate(snapshot({ name: '\x07\b\f\n\r\t\v\\"\x011A1\ufffd' })));
  });

  it('a bare value may hold any quote, dot and operator after its first character', () => {
    const name = 'a"/|.=!~\'`\\b';
    assert.ok(parseFilters([`name==${name}`])(snapshot({ name })));
  });

  it('a bare value ends at a comma', () => {
    const predicate = parseFilters(['name==a,kind==view']);
    assert.ok(predicate(snapshot({ name: 'a', kind: 'view' })));
    assert.ok(!predicate(snapshot({ name: 'a,kind==view' })));
  });

  it('$ is the end of the text, not a line before it', () => {
    assert.ok(!parseFilters(['name~=a$'])(snapshot({ name: 'a\n' })));
  });
});

describe('filters that are refused', () => {
  const cases: readonly (readonly [filter: string, words: RegExp])[] = [
    [' ', /field name is missing/],
    [',', /field name is missing/],
    ['name==foo,', /field name is missing/],
    ['labels.', /field name is missing.*at the end of labels\./],
    ['labels.?x', /field name is missing.*in labels\. >>> \?x/],
    ['labels..x', /field name is missing/],
    ['labels.|foo|==x', /only double quotes/],
    ["'name'==x", /field name is missing/],
    ['name ', /operator/],
    ['name , kind', /operator/],
    ['labels.ns/key==value', /operator.*double quotes/],
    ['name=foo', /no operator =/],
    ['name===foo', /no operator ===/],
    ['name@=foo', /operator.*missing/],
    ['name=!foo', /no operator =!/],
    ['name==', /value is missing/],
    ['image~=,id?=?fbaq', /value is missing.*in image~= >>> ,id/],
    ['name==.foo', /value is missing/],
    ['name~=.*', /value is missing/],
    ['kind==view ,name', /comma or the end/],
    ['name==/value', /only double quotes/],
    ['name!=|value|', /only double quotes/],
    ['name=="value', /does not end/],
    ['name~=/value', /does not end/],
    ['name~=/a\nb/', /does not end/],
    ['name=="a\0b"', /does not end/],
    ['name=="a\ufffdb"', /does not end/],
    ['name==foo bar', /comma or the end/],
    ['name==foo ', /comma or the end/],
    ['name=="x"y', /comma or the end/],
    ['name==a\x01', /comma or the end/],
    ['name==\0', /value is missing/],
    ['name==\ufffd', /value is missing/],
    ['name=="\\q"', /escape/],
    ['name=="\\\'"', /escape/],
    ['name=="\\/"', /escape/],
    ['name~=/\\"/', /escape/],
    ['name~=/\\./', /escape/],
    ['name=="\\xg0"', /escape/],
    ['name=="\\u12"', /escape/],
    ['name=="\\U00110000"', /escape/],
    ['name=="\\400"', /escape/],
    ['name=="\\18"', /escape/],
    ['name=="\\', /escape/],
    ['name=="\\xff"', /not UTF-8/],
    ['name~=a(', /RE2.*missing closing/],
    ['name~=(?=a)', /RE2/],
    ['name~=(a)\\1', /RE2/],
  ];
  for (const [filter, words] of cases) {
    it(JSON.stringify(filter), () => assert.match(refusal([filter]), words));
  }

  it('one bad filter among good ones', () => {
    assert.match(refusal(['name', 'name==', '']), /value is missing/);
  });

  it('shows the place and not the whole of a long filter', () => {
    const message = refusal([`${'name,'.repeat(1000)}!${'x'.repeat(5000)}`]);
    assert.match(message, /\.\.\.[a-z,]{40} >>> !x{39}\.\.\.$/);
    assert.ok(message.length < 400);
  });
});

describe('hostile filters', () => {
  const cases: readonly (readonly [what: string, filters: string[]])[] = [
    ['a pattern of 1 MB', [`name~=${'a'.repeat(1_000_000)}`]],
    ['a pattern of 60 KB', [`name~=${'a'.repeat(60_000)}`]],
    ['nested repetition', ['name~=(a{1000}){1000}']],
    ['a large repetition of a large group', [`name~=(${'abcdefghij'.repeat(90)}){1000}`]],
    ['a repetition of a quoted group', [`name~=(${'a'.repeat(100)}\\Q)\\E){1000}`]],
    ['a repetition of a class', ['name~=[^[:alpha:]\\]]{1000}']],
    ['many Unicode classes', [`name~=${'\\pL'.repeat(300)}`]],
    ['Unicode classes in a class', [`name~=[${'\\p{Greek}'.repeat(100)}]`]],
    ['many patterns', Array.from({ length: 200 }, (_, index) => `name~=[a-f]{64}${index}`)],
    ['deep nesting', [`name~=${'('.repeat(510)}${')'.repeat(510)}`]],
    ['unclosed groups', [`name~=${'('.repeat(1000)}`]],
    ['unclosed classes', [`name~=${'[[:'.repeat(341)}`]],
    ['a million filters', Array.from({ length: 1_000_000 }, () => '')],
    ['a megabyte of commas', [','.repeat(1_000_000)]],
    ['a megabyte of quotes', ['"'.repeat(1_000_000)]],
    ['backslashes', [`name=="${'\\'.repeat(60_001)}"`]],
  ];
  for (const [what, filters] of cases) {
    it(what, () => assert.ok(refusal(filters).length < 1000));
  }

  it('13,000 selectors are fine', () => {
    assert.deepEqual(matching(`${'name,'.repeat(13_000)}kind==view`), [4]);
  });

  it('patterns share one budget of time, and the one that finds it spent says so', () => {
    let clockMs = 0;
    const budget = createPatternBudget(() => (clockMs += 400));
    const [first, second] = [budget.compile('a'), budget.compile('b')];
    for (let round = 0; round < 3; round += 1) {
      assert.ok(first('a'));
      assert.ok(!second('a'));
    }
    assert.throws(
      () => first('a'),
      (error) => hasCode(error, 'invalid_argument') && error.message.includes('2000 ms'),
    );
  });
});

describe('the cost of a pattern', () => {
  const cases: readonly (readonly [pattern: string, atLeast: number, atMost: number])[] = [
    ['', 0, 0],
    ['abc', 3, 3],
    ['^sha256:[0-9a-f]{64}$', 73, 80],
    ['a{10,20}', 20, 22],
    ['a{10,}', 10, 12],
    ['a{10', 4, 4],
    ['a{,5}', 5, 5],
    ['(ab){10}', 20, 50],
    ['((a{10}){10}){10}', 1000, 1500],
    ['(?:(?P<name>a)b){10}', 20, 100],
    ['[]a]{10}', 10, 12],
    ['[^]{3}]{10}', 10, 12],
    ['[[:alpha:]{3}]{10}', 10, 12],
    ['[a\\]{3}]{10}', 10, 12],
    ['\\({10}', 10, 12],
    ['\\\\{10}', 10, 12],
    ['\\Q(((\\E{10}', 10, 100],
    ['(a\\Q)\\E){100}', 200, 1500],
    ['\\pL{10}', 100, 1000],
    ['[\\pL\\PN]', 20, 200],
    ['a))){10}', 1, 50],
    ['((((a', 1, 20],
  ];
  for (const [pattern, atLeast, atMost] of cases) {
    it(JSON.stringify(pattern), () => {
      const cost = patternCost(pattern);
      assert.ok(cost >= atLeast && cost <= atMost, `${cost} is not in ${atLeast} to ${atMost}`);
    });
  }
});
