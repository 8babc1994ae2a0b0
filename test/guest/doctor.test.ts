/** `dmthin doctor` on a real node: sound, then broken in one place after another. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { processDeps } from '../../src/cli/process-deps.ts';
import { runCli } from '../../src/cli/program.ts';
import type { CheckName } from '../../src/doctor/checks.ts';
import type { NamedFinding } from '../../src/doctor/judge.ts';
import { createNode, MiB, mounted, type TestNode } from './node.ts';

let node: TestNode;
let configPath: string;
let containerdPath: string;

before(async () => {
  node = await createNode({ dataBytes: 128 * MiB });
  configPath = join(node.directory, 'config.toml');
  containerdPath = join(node.directory, 'containerd.toml');
  const { rootPath, address, poolName } = node.config();
  await writeFile(
    configPath,
    `pool_name = "${poolName}"\nroot_path = "${rootPath}"\naddress = "${address}"\nbase_image_size = "64MB"\n`,
  );
  await writeContainerd('dmthin', 'dmthin');
});
after(() => node[Symbol.asyncDispose]());

async function writeContainerd(plugin: string, cri: string): Promise<void> {
  await writeFile(
    containerdPath,
    `version = 2
[proxy_plugins.${plugin}]
type = "snapshot"
address = "${node.config().address}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "${cri}"
`,
  );
}

/** The findings that are not ok, by check; and that the exit code fits them. */
async function doctor(): Promise<Map<CheckName, NamedFinding>> {
  let out = '';
  const terminal = {
    out: (text: string) => void (out += text),
    err: (text: string) => assert.fail(text),
    colour: false,
  };
  const args = ['doctor', '--json', '--config', configPath, '--containerd-config', containerdPath];
  const code = await runCli(args, { ...processDeps(), terminal });
  const { ok, findings } = JSON.parse(out) as { ok: boolean; findings: NamedFinding[] };
  const broken = findings.filter(({ level }) => level !== 'ok');
  assert.equal(ok, !broken.some(({ level }) => level === 'problem'));
  assert.equal(code, ok ? 0 : 1);
  return new Map(broken.map((finding) => [finding.check, finding]));
}

/** Exactly these checks are not ok, and `check` says `words`. */
async function finds(check: CheckName, words: RegExp, ...others: CheckName[]): Promise<void> {
  const found = await doctor();
  assert.deepEqual([...found.keys()].sort(), [check, ...others].sort());
  const { what, remedy } = found.get(check) ?? { what: '', remedy: '' };
  assert.match(`${what} -> ${remedy ?? ''}`, words);
}

describe('doctor', () => {
  it('finds nothing on a sound node', async () => {
    await using serving = await node.serve();
    assert.equal(await serving.client.isServing(), true);
    assert.deepEqual([...(await doctor()).values()], []);
  });

  it('finds that no daemon runs', async () => {
    await finds('daemon', /no dmthin daemon answers.* -> start the daemon/);
  });

  it('finds a pool that is not there, and the daemon that waits for it', async () => {
    await using serving = await node.serve();
    await node.removePool();
    while (await serving.client.isServing()) await sleep(100);
    const poolless = ['geometry', 'data-space', 'metadata-space', 'file-space'] as const;
    await finds('pool', /no device of that name -> .*pool create/, 'daemon', ...poolless);
    await node.createPool(['read_only']);
    await finds('pool', /is read-only: .* ro .*-> dmesg/, 'daemon');
    await node.removePool();
    await node.createPool();
  });

  it('finds a suspended pool', async () => {
    await using serving = await node.serve();
    assert.equal(await serving.client.isServing(), true);
    await node.dm.suspend(node.poolName);
    await finds('pool', /is suspended.* -> dmsetup resume/);
    await node.dm.resume(node.poolName);
  });

  it('finds a pool that runs full', async () => {
    await using serving = await node.serve();
    const { client } = serving;
    const freeMiB = async (): Promise<number> => {
      const { usedDataBlocks, totalDataBlocks } = await node.poolStatus();
      return Math.floor(((totalDataBlocks - usedDataBlocks) * 64) / 1024);
    };
    const keys: string[] = [];
    while ((await freeMiB()) > 10) {
      const key = `fills-${keys.length}`;
      keys.push(key);
      const content = Buffer.alloc(Math.min(40, (await freeMiB()) - 7) * MiB, 1);
      await mounted(await client.prepare(key, ''), (directory) =>
        writeFile(join(directory, 'file'), content, { flush: true }),
      );
    }
    await finds('data-space', /% free of 128 MiB.* -> remove images/);
    for (const key of keys) await client.remove(key);
  });

  it('finds a proxy plugin with a built-in name, and a CRI that uses another snapshotter', async () => {
    await using serving = await node.serve();
    assert.equal(await serving.client.isServing(), true);
    await writeContainerd('devmapper', 'devmapper');
    await finds('proxy-plugin', /called devmapper.* -> another name/);
    await writeContainerd('dmthin', 'devmapper');
    await finds('cri', /snapshotter devmapper, which is containerd's own; ours is called dmthin/);
    await writeContainerd('dmthin', 'dmthin');
  });

  it('finds a configuration with problems, and looks at the rest all the same', async () => {
    const sound = await readFile(configPath, 'utf8');
    await writeFile(configPath, `${sound}fs_type = "btrfs"\n`);
    const found = await doctor();
    assert.match(found.get('config')?.what ?? '', /config\.toml:5: fs_type/);
    assert.deepEqual([found.get('device-mapper'), found.get('pool')?.level], [undefined, 'warning']);
    await writeFile(configPath, sound);
  });
});
