/** `npm run package`: the Debian packages, in dist/. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPackage } from '../packaging/deb/build.ts';
import { ARCHITECTURES, type Architecture } from '../packaging/deb/control.ts';
import { errorWords } from './words.ts';

const USAGE = 'usage: npm run package [-- [--arch amd64|arm64]... [--out DIRECTORY] [--quick]]';
const CHECKOUT = join(import.meta.dirname, '..');

function isArchitecture(name: string): name is Architecture {
  return name in ARCHITECTURES;
}

interface Wanted {
  readonly architectures: readonly Architecture[];
  readonly out: string;
  readonly quick: boolean;
}

function readArguments(): Wanted | undefined {
  try {
    const { values } = parseArgs({
      options: {
        arch: { type: 'string', multiple: true, default: Object.keys(ARCHITECTURES) },
        out: { type: 'string', default: join(CHECKOUT, 'dist') },
        quick: { type: 'boolean', default: false },
      },
    });
    const architectures = values.arch.filter(isArchitecture);
    if (architectures.length !== values.arch.length) return undefined;
    return { architectures, out: values.out, quick: values.quick };
  } catch {
    return undefined;
  }
}

const wanted = readArguments();
if (wanted === undefined) {
  console.error(USAGE);
  process.exitCode = 64;
} else {
  try {
    for (const architecture of wanted.architectures)
      console.log(
        await buildPackage({
          checkout: CHECKOUT,
          architecture,
          outDirectory: wanted.out,
          quick: wanted.quick,
        }),
      );
  } catch (error) {
    console.error(errorWords(error));
    process.exitCode = 1;
  }
}
