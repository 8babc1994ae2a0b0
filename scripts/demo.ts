/**
 * `npm run demo`: the main job from nothing to nothing, each step with its time. In the guest; with `--host` on this
 * machine, when its kernel has device-mapper.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { errorWords } from './words.ts';
import { ensurePackages, thisMachine } from '../guest/requirements.ts';
import { runProcess } from '../src/base/process.ts';
import { ensureImages } from '../test/images/ensure-images.ts';
import { runDemo } from './demo-steps.ts';
import { createSteps } from './steps.ts';

const EXIT_UNAVAILABLE = 69;
const EXIT_USAGE = 64;
/** Tells the second start of this script, in the guest, that the first one has made everything ready. */
const INSIDE = '--inside';
const ENTRY = 'scripts/demo.ts';

async function main(args: readonly string[]): Promise<number> {
  const [mode, ...rest] = args;
  if (rest.length > 0 || (mode !== undefined && mode !== INSIDE && mode !== '--host')) {
    console.error('usage: npm run demo [-- --host]');
    return EXIT_USAGE;
  }
  const steps = createSteps(process.stdout);
  if (mode === INSIDE) return runDemo(steps);
  try {
    await steps.run('install what is missing', async () =>
      ensurePackages(
        ['guest', 'fast-kernel', 'pool', 'containerd', 'images'],
        await thisMachine(runProcess, (line) => steps.show(line)),
      ),
    );
  } catch (error) {
    console.error(errorWords(error));
    return EXIT_UNAVAILABLE;
  }
  await steps.run('build the images: hello-world, and Debian in several layers', async () => {
    await ensureImages();
  });
  if (mode === '--host') return runDemo(steps);
  steps.show('booting a Linux guest with device-mapper: nothing below touches this machine');
  const guest = spawn(process.execPath, ['guest/run.ts', 'node', ENTRY, INSIDE], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      DMTHIN_GUEST_MEM: process.env['DMTHIN_GUEST_MEM'] ?? '3G',
      ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}),
    },
  });
  const [exitCode] = (await once(guest, 'close')) as [number | null];
  return exitCode ?? 1;
}

process.exitCode = await main(process.argv.slice(2));
