/** Debian's docker-registry on loopback, serving the test images read-only from where they were built. */
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type ImageSet, REPOSITORY_PREFIX, TAG } from '../../images/ensure-images.ts';
import type { ImageName } from '../../images/images.ts';
import { type Program, startProgram } from './program.ts';
import { accepts } from './sockets.ts';

export interface Registry extends AsyncDisposable {
  readonly images: ImageSet;
  /** What to pull: host, port, repository and tag. */
  reference(name: ImageName): string;
  readonly program: Program;
}

export async function startRegistry(images: ImageSet, directory: string): Promise<Registry> {
  const port = await freePort();
  const configPath = join(directory, 'registry.yml');
  await writeFile(configPath, registryConfig(images.registryDirectory, port));
  const program = await startProgram({
    argv: ['docker-registry', 'serve', configPath],
    logPath: join(directory, 'registry.log'),
    env: { OTEL_TRACES_EXPORTER: 'none' },
    isReady: () => accepts({ host: '127.0.0.1', port }),
  });
  return {
    images,
    program,
    reference: (name) => `127.0.0.1:${port}/${REPOSITORY_PREFIX}${name}:${TAG}`,
    [Symbol.asyncDispose]: () => program.stop(),
  };
}

function registryConfig(storage: string, port: number): string {
  return `version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: ${JSON.stringify(storage)}}
  maintenance: {uploadpurging: {enabled: false}, readonly: {enabled: true}}
http: {addr: "127.0.0.1:${port}"}
`;
}

/** A port that nobody listens on; the gap until the registry takes it is a race that a test machine can live with. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
