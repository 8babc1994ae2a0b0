/** A server on a socket of its own with a fake snapshotter behind it, and what it logged. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Log } from '../../../src/base/log.ts';
import { type ClientOptions, connect, type SnapshotsClient } from '../../../src/grpc/client.ts';
import { type RunningServer, startServer } from '../../../src/grpc/server.ts';
import { createSnapshotsService } from '../../../src/grpc/service.ts';
import { createFakeSnapshotter, type FakeSnapshotter } from '../../fakes/snapshotter.ts';

export interface LogLine {
  readonly level: keyof Log;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface TestServer {
  readonly path: string;
  readonly server: RunningServer;
  readonly fake: FakeSnapshotter;
  readonly log: readonly LogLine[];
  readonly client: (options?: ClientOptions) => Promise<SnapshotsClient>;
}

export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dmthin-grpc-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export function recordingLog(lines: LogLine[]): Log {
  const at = (level: keyof Log) => (facts: object, message: string) =>
    void lines.push({ level, facts: { ...facts }, message });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export async function startTestServer(t: TestContext): Promise<TestServer> {
  const path = join(await temporaryDirectory(t), 'dmthin.sock');
  const fake = createFakeSnapshotter();
  const log: LogLine[] = [];
  const server = await startServer({
    address: path,
    service: createSnapshotsService(fake),
    log: recordingLog(log),
  });
  t.after(() => server.drain(0));
  return {
    path,
    server,
    fake,
    log,
    client: async (options) => {
      const client = await connect(path, options);
      t.after(() => client.close());
      return client;
    },
  };
}

/** A promise that a test opens when it is time. */
export interface Gate {
  readonly opened: Promise<undefined>;
  readonly open: () => void;
}

export function createGate(): Gate {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return { opened: promise, open: () => resolve(undefined) };
}

/** Resolves when `condition` holds; fails when it does not for a long time. */
export async function until(condition: () => boolean): Promise<void> {
  const endsAt = performance.now() + 30_000;
  while (!condition()) {
    assert.ok(performance.now() < endsAt, `never came true: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export async function collect<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(...page);
  return all;
}
