/** Chooses and opens the transport to device-mapper. */
import { DmthinError } from '../base/errors.ts';
import { type Log, silentLog } from '../base/log.ts';
import type { RunProcess } from '../base/process.ts';
import type { DmClient, TransportName } from './client.ts';
import { NO_DRIVER, openControl } from './control.ts';
import { createDeviceNodes, type DeviceNodes, type NodePaths } from './device-nodes.ts';
import { createDmsetupClient } from './dmsetup-client.ts';
import { parseVersions, type Version } from './dmsetup-output.ts';
import { errnoError, errnoFromWords } from './errno.ts';
import { createIoctlClient } from './ioctl-client.ts';
import { createIoctlPort, loadKoffi } from './ioctl-port.ts';
import { withSequences } from './sequences.ts';

export interface OpenClientDeps {
  /** Runs dmsetup, for that transport only. */
  readonly run: RunProcess;
  /** Told when `auto` has to take the slow transport, and why. */
  readonly log?: Log;
  readonly paths?: NodePaths;
  /** For a daemon, which creates many devices and waits for nothing else: sequences of ioctls get a thread. */
  readonly sequences?: boolean;
}

const OP = 'open device-mapper';

/** The first dmsetup that knows everything that we ask of it; what the original asks for too. */
const MIN_DMSETUP: Version = [1, 2, 110];

/**
 * `auto` takes ioctl, and dmsetup only where koffi's native part does not load: what else keeps ioctl from working keeps
 * dmsetup from it too.
 * @throws unsupported when the kernel lacks device-mapper, the caller lacks the right to use it, the program is not
 * installed or too old. Whether the kernel has thin pools is another question: {@link DmClient.targets}.
 */
export async function openDmClient(
  transport: TransportName | 'auto',
  { run, log = silentLog, paths = {}, sequences = false }: OpenClientDeps,
): Promise<DmClient> {
  const nodes = createDeviceNodes(paths);
  if (transport === 'dmsetup') return openDmsetup(run, nodes);
  let koffi;
  try {
    koffi = await loadKoffi();
  } catch (error) {
    if (transport === 'ioctl') throw error;
    log.warn({ err: error }, 'device-mapper is used through dmsetup processes, which are slow');
    return openDmsetup(run, nodes);
  }
  const control = await openControl(paths.dev ?? '/dev');
  try {
    const client = await checked(createIoctlClient(createIoctlPort(koffi, control), nodes));
    return sequences ? withSequences(client, { controlFd: control.fd, paths }, log) : client;
  } catch (error) {
    await control.close();
    throw error;
  }
}

async function openDmsetup(run: RunProcess, nodes: DeviceNodes): Promise<DmClient> {
  await checkProgram(run);
  return checked(createDmsetupClient(run, nodes));
}

/** The kernel answers a first request, and in the language that we speak. */
async function checked(client: DmClient): Promise<DmClient> {
  const version = await client.version();
  if (version[0] === 4) return client;
  throw new DmthinError('unsupported', {
    op: OP,
    what: `the kernel's interface has version ${version.join('.')}, and dmthin speaks version 4`,
  });
}

async function checkProgram(run: RunProcess): Promise<void> {
  const result = await run('dmsetup', ['version']);
  const { library, driver } = parseVersions(result.stdout);
  if (isOlder(library, MIN_DMSETUP)) {
    throw new DmthinError('unsupported', {
      op: OP,
      what: `dmsetup ${formatVersion(library)} is too old`,
      nextStep: `install dmsetup ${formatVersion(MIN_DMSETUP)} or later, or set transport = "ioctl"`,
    });
  }
  if (driver !== undefined) return;
  const errno = result.stderr.split('\n').map(errnoFromWords).find(isRefusal);
  if (errno !== undefined)
    throw errnoError(errno, { op: OP, what: 'dmsetup cannot open /dev/mapper/control' });
  throw new DmthinError('unsupported', NO_DRIVER);
}

function isRefusal(errno: string | undefined): boolean {
  return errno === 'EACCES' || errno === 'EPERM';
}

function isOlder(version: Version, than: Version): boolean {
  const differs = version.findIndex((part, index) => part !== than[index]);
  return differs !== -1 && (version[differs] ?? 0) < (than[differs] ?? 0);
}

/** As dmsetup prints it: 1.02.110. */
function formatVersion([major, minor, patch]: Version): string {
  return `${major}.${String(minor).padStart(2, '0')}.${patch}`;
}
