/** `ctr snapshots`: every command of it, with what it prints and what it leaves. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { listSnapshots } from './harness/content.ts';
import { rowsOf } from './harness/ctr.ts';
import { type Node, openNode } from './harness/node.ts';
import { run } from './harness/run.ts';

/** What `ctr snapshots info` prints. */
interface Info {
  readonly Kind: string;
  readonly Name: string;
  readonly Parent?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

describe('ctr snapshots', () => {
  let node: Node;
  let target: string;
  before(async () => {
    node = await openNode();
    target = await mkdtemp(join(tmpdir(), 'target-'));
  });
  after(async () => {
    await rm(target, { recursive: true, force: true });
    await node.close();
  });

  const info = async (key: string): Promise<Info> =>
    JSON.parse(await node.ctr.snapshots('info', key)) as Info;
  /** Runs `body` while the snapshot is mounted at `target` by the very commands that ctr prints for it. */
  async function mounted(key: string, body: () => Promise<void>): Promise<void> {
    const command = await node.ctr.snapshots('mounts', target, key);
    assert.match(command, /^mount -t ext4 \/dev\/mapper\/\S+ \S+/);
    // Without options ctr prints an -o with nothing behind it, which mount refuses.
    await run(['sh', '-ec', command.trim().replace(/ -o$/, '')]);
    try {
      await body();
    } finally {
      await run(['umount', target]);
    }
  }

  it('prepare, mounts: a writable filesystem without parent, empty', async () => {
    await node.ctr.snapshots('prepare', 'first');
    await mounted('first', async () => {
      assert.equal(await run(['ls', '-A', target]), '');
      await writeFile(join(target, 'a'), 'from the first');
      await writeFile(join(target, 'ballast'), Buffer.alloc(5_000_000, 'x'));
    });
  });

  it('usage: at least what was written, in bytes and inodes', async () => {
    const [row] = rowsOf(await node.ctr.snapshots('usage', '-b', 'first'));
    const [key, size, inodes] = row ?? [];
    assert.equal(key, 'first');
    assert.ok(Number(size) >= 5_000_000, `${size ?? ''} bytes`);
    assert.ok(node.snapshotter.name === 'devmapper' || Number(inodes) >= 2, `${inodes ?? ''} inodes`);
  });

  it('commit, prepare on top, view: parents are shared, never written', async () => {
    await node.ctr.snapshots('commit', 'base', 'first');
    await node.ctr.snapshots('prepare', 'second', 'base');
    await node.ctr.snapshots('view', 'look', 'base');
    // Unlike prepare and commit, ctr's view marks no root for the garbage collector.
    await node.ctr.snapshots('label', 'look', `containerd.io/gc.root=${new Date().toISOString()}`);
    await mounted('second', async () => {
      assert.equal(await readFile(join(target, 'a'), 'utf8'), 'from the first');
      await writeFile(join(target, 'a'), 'from the second');
      await writeFile(join(target, 'b'), 'new');
    });
    await mounted('look', async () => {
      assert.equal(await readFile(join(target, 'a'), 'utf8'), 'from the first');
      await assert.rejects(writeFile(join(target, 'c'), ''), { code: 'EROFS' });
    });
  });

  it('ls: every snapshot with parent and kind', async () => {
    const rows = rowsOf(await node.ctr.snapshots('ls'));
    assert.deepEqual(rows.sort(), [
      ['base', 'Committed'],
      ['look', 'base', 'View'],
      ['second', 'base', 'Active'],
    ]);
  });

  it('tree: children below their parents', async () => {
    const lines = (await node.ctr.snapshots('tree')).trim().split('\n');
    assert.equal(lines[0]?.trim(), 'base');
    assert.deepEqual(
      lines
        .slice(1)
        .map((line) => /(look|second)$/.exec(line)?.[1])
        .sort(),
      ['look', 'second'],
    );
  });

  it('label, info: labels are set, changed and cleared', async () => {
    await node.ctr.snapshots('label', 'base', 'colour=blue', 'size=xl');
    assert.deepEqual(pick((await info('base')).Labels), { colour: 'blue', size: 'xl' });
    await node.ctr.snapshots('label', 'base', 'colour=red', 'size=');
    const { Kind, Name, Parent, Labels } = await info('base');
    assert.deepEqual(
      { Kind, Name, Parent, labels: pick(Labels) },
      {
        Kind: 'Committed',
        Name: 'base',
        Parent: undefined,
        labels: { colour: 'red' },
      },
    );
    assert.equal((await info('second')).Parent, 'base');
  });

  it('diff: the changes against the parent', async () => {
    const command = `ctr --address "$1" snapshots --snapshotter "$2" diff "$3" | tar --list --gzip`;
    const names = await run([
      'sh',
      '-ec',
      command,
      'sh',
      node.containerd.address,
      node.snapshotter.name,
      'second',
    ]);
    assert.deepEqual(names.trim().split('\n').sort(), ['a', 'b']);
  });

  it('rm: refuses a parent, removes leaves, then the parent', async () => {
    await assert.rejects(
      node.ctr.snapshots('rm', 'base'),
      /failed precondition|cannot remove snapshot with child/,
    );
    await node.ctr.snapshots('rm', 'look');
    await node.ctr.snapshots('rm', 'second');
    await node.ctr.snapshots('rm', 'base');
    assert.deepEqual(await listSnapshots(node), []);
    await node.assertPoolAsAtStart();
  });

  it('refuses what is missing or there already', async () => {
    await node.ctr.snapshots('prepare', 'there');
    await assert.rejects(node.ctr.snapshots('prepare', 'there'), /already exists/);
    await assert.rejects(node.ctr.snapshots('prepare', 'child', 'nowhere'), /not found/);
    await assert.rejects(node.ctr.snapshots('view', 'child', 'there'), /invalid argument|not committed/);
    await assert.rejects(node.ctr.snapshots('rm', 'nowhere'), /not found/);
    await node.ctr.snapshots('rm', 'there');
    await node.assertPoolAsAtStart();
  });
});

/** The labels that a test sets, among those that containerd and ctr add. */
function pick(labels: Info['Labels'] = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).filter(([name, value]) => ['colour', 'size'].includes(name) && value !== ''),
  );
}
