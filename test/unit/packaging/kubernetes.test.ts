/** The manifest and docs/kubernetes.md: each says what the other and the program do. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { parse as parseToml } from 'smol-toml';
import { parse as parseYaml, parseAllDocuments } from 'yaml';
import { containerdSnippet } from '../../../src/containerd/snippet.ts';
import { DEFAULT_ADDRESS, DEFAULT_CONFIG_PATH, DEFAULT_ROOT_PATH } from '../../../src/daemon/config.ts';
import { parseConfig } from '../../../src/daemon/read-config.ts';
import { commandFacts } from '../../../src/cli/command-facts.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { createCli } from '../cli/harness.ts';

const at = (path: string): URL => new URL(`../../../${path}`, import.meta.url);
const manifest = await readFile(at('packaging/kubernetes/dmthin.yaml'), 'utf8');
const docs = await readFile(at('docs/kubernetes.md'), 'utf8');
const { version } = JSON.parse(await readFile(at('package.json'), 'utf8')) as { version: string };

interface Volume {
  readonly name: string;
  readonly hostPath?: { readonly path: string; readonly type: string };
}
interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly securityContext: { readonly privileged: boolean };
  readonly startupProbe: { readonly exec: { readonly command: readonly string[] } };
  readonly livenessProbe: { readonly exec: { readonly command: readonly string[] } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface PodSpec {
  readonly hostNetwork: boolean;
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
}
interface Document {
  readonly kind: string;
  readonly metadata: { readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: { readonly template: { readonly spec: PodSpec; readonly metadata: unknown } };
}

const documents = parseAllDocuments(manifest).map((document) => {
  assert.deepEqual([document.errors, document.warnings], [[], []]);
  return document.toJS() as Document;
});

function find(kind: string): Document {
  const found = documents.find((document) => document.kind === kind);
  assert.ok(found, kind);
  return found;
}

const pod = (): PodSpec => find('DaemonSet').spec?.template.spec ?? assert.fail('no pod');
const container = (): Container => pod().containers[0] ?? assert.fail('no container');

/** Code blocks of docs/kubernetes.md in one language. */
function blocks(language: string): string[] {
  return [...docs.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, text]) => text ?? '',
  );
}

describe('the manifest', () => {
  it('has a namespace, a configuration and a DaemonSet of one container', () => {
    assert.deepEqual(
      documents.map(({ kind }) => kind),
      ['Namespace', 'ConfigMap', 'DaemonSet'],
    );
    assert.equal(pod().containers.length, 1);
    for (const kind of ['ConfigMap', 'DaemonSet']) assert.equal(find(kind).metadata.namespace, 'dmthin');
  });

  it('is of this version, and privileged in the host network as documented', () => {
    assert.equal(container().image, `dmthin:${version}`);
    assert.equal(container().securityContext.privileged, true);
    assert.equal(pod().hostNetwork, true);
    assert.match(docs, /It is privileged:/);
    assert.match(docs, /in the host's\nnetwork/);
    assert.ok(docs.includes(`REGISTRY/dmthin:${version}`));
  });

  it('takes of the node what docs/kubernetes.md lists, each at its own path', () => {
    const hostPaths = pod().volumes.flatMap(({ name, hostPath }) =>
      hostPath === undefined ? [] : [[name, hostPath.path]],
    );
    const mounts = container().volumeMounts.map(({ name, mountPath }) => [name, mountPath]);
    assert.deepEqual(mounts, [['config', '/etc/dmthin'], ...hostPaths]);
    const documented = [...docs.matchAll(/^\| `(\/[^`]+)` +\|/gm)].map(([, path]) => path);
    assert.deepEqual(
      documented,
      hostPaths.map(([, path]) => path),
    );
  });

  it('carries a configuration that dmthin reads, whose places outlive the pod', () => {
    const result = parseConfig(find('ConfigMap').data?.['config.toml'] ?? '', 'config.toml');
    assert.ok(result.ok, JSON.stringify(result));
    const { address, rootPath } = result.config;
    assert.deepEqual([address, rootPath], [DEFAULT_ADDRESS, DEFAULT_ROOT_PATH]);
    const { backing } = result.config.pool;
    assert.ok(backing?.kind === 'loop' && backing.directory.startsWith(`${rootPath}/`));
    assert.equal(DEFAULT_CONFIG_PATH, '/etc/dmthin/config.toml');
  });

  it('runs commands that there are', () => {
    const facts = commandFacts(buildProgram(createCli().deps));
    assert.deepEqual(container().args, ['serve']);
    for (const { exec } of [container().startupProbe, container().livenessProbe]) {
      const [program, group = '', name = '', option = ''] = exec.command;
      assert.equal(program, '/usr/bin/dmthin');
      const command = facts.find(({ path }) => path === `dmthin ${group} ${name}`);
      assert.ok(
        command?.options.some(({ flags }) => flags.includes(option)),
        exec.command.join(' '),
      );
    }
  });
});

describe('docs/kubernetes.md', () => {
  it('has the pieces for containerd that the program prints', () => {
    const [one, two] = blocks('toml').map((text) => JSON.stringify(parseToml(text)));
    const printed = (major: number, minor: number) =>
      JSON.stringify(
        parseToml(
          containerdSnippet({
            version: { major, minor, patch: 0 },
            name: 'dmthin',
            address: DEFAULT_ADDRESS,
            root: DEFAULT_ROOT_PATH,
          }).toml,
        ),
      );
    assert.equal(one, printed(1, 6));
    assert.equal(two, printed(2, 1));
  });

  it('has no block that does not parse', () => {
    assert.equal(blocks('toml').length, 4);
    for (const text of blocks('toml')) parseToml(text);
    assert.equal(blocks('yaml').length, 1);
    for (const text of blocks('yaml')) assert.equal((parseYaml(text) as Document).kind, 'Pod');
  });
});
