/** Imports go down only, and in no circle. The table is the one of docs/architecture.md. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../../..');
const src = join(root, 'src');

/** Each room, and the rooms that it may import from (besides itself). */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  dm: ['base'],
  filesystem: ['base'],
  store: ['base', 'filesystem'],
  pool: ['base', 'dm', 'filesystem', 'store'],
  snapshotter: ['base', 'dm', 'filesystem', 'store', 'pool'],
  check: ['base', 'dm', 'filesystem', 'store', 'pool'],
  grpc: ['base', 'snapshotter', 'check'],
  systemd: ['base'],
  daemon: ['base', 'dm', 'filesystem', 'store', 'pool', 'snapshotter', 'check', 'grpc', 'systemd'],
  containerd: ['base'],
  doctor: ['base', 'dm', 'filesystem', 'store', 'pool', 'containerd', 'daemon'],
  cli: [
    'base',
    'dm',
    'filesystem',
    'store',
    'pool',
    'snapshotter',
    'check',
    'grpc',
    'daemon',
    'containerd',
    'doctor',
  ],
};

const IMPORT = /(?:from|import\()\s*'(\.[^']+)'/g;

function sources(): string[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ts|js)$/.test(file) && !file.endsWith('.d.ts'))
    .map((file) => join(src, file));
}

function importsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)].map(([, path]) =>
    resolve(dirname(file), path ?? ''),
  );
}

const room = (file: string): string => relative(src, file).split('/')[0] ?? '';

test('every room is in the table and imports only what the table allows', () => {
  const wrong = sources().flatMap((file) => {
    const allowed = MAY_IMPORT[room(file)];
    assert.ok(allowed !== undefined, `${relative(root, file)} stands in a room that the table does not know`);
    return importsOf(file)
      .filter((target) => room(target) !== room(file) && !allowed.includes(room(target)))
      .map((target) => `${relative(root, file)} imports ${relative(root, target)}`);
  });
  assert.deepEqual(wrong, []);
});

test('no import circle', () => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      assert.fail([...path.slice(path.indexOf(file)), file].map((one) => relative(root, one)).join(' -> '));
    }
    if (done.has(file)) return;
    for (const target of importsOf(file)) if (target.startsWith(src)) visit(target, [...path, file]);
    done.add(file);
  };
  const files = sources();
  assert.ok(files.length > 20, 'the sources are found');
  for (const file of files) visit(file, []);
});

test('no source file is longer than 350 lines', () => {
  const long = sources()
    .filter((file) => !file.includes('/gen/'))
    .filter((file) => readFileSync(file, 'utf8').split('\n').length > 351)
    .map((file) => relative(root, file));
  assert.deepEqual(long, []);
});
