/** Which kernel modules the guest loads, and in which order. Pure. */
import { DmthinError } from '../src/base/errors.ts';

/** What tests use: thin pools, fault injection, loop files, overlay (init.sh needs it too) and the file systems. */
export const WANTED_MODULES = [
  'dm-thin-pool',
  'dm-flakey',
  'dm-log-writes',
  'dm-delay',
  'dm-snapshot',
  'loop',
  'overlay',
  'xfs',
  'ext4',
] as const;

/**
 * Files to load, dependencies first, relative to the modules' directory.
 * @param dep contents of modules.dep: `FILE: FILE FILE...`, the dependencies of a file nearest first.
 * @param builtin contents of modules.builtin: a file a line.
 * @throws unsupported when a wanted module is neither a file nor built in.
 */
export function loadOrder(dep: string, builtin: string, wanted: readonly string[]): string[] {
  const dependencies = new Map<string, { file: string; needs: string[] }>();
  for (const line of dep.split('\n')) {
    const [file, needs] = [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)];
    if (line.includes(':'))
      dependencies.set(moduleName(file), { file, needs: needs.split(' ').filter(Boolean) });
  }
  const builtins = new Set(builtin.split('\n').map(moduleName));
  const order = new Set<string>();
  for (const name of wanted) {
    const module = dependencies.get(name);
    if (module === undefined && !builtins.has(name)) {
      throw new DmthinError('unsupported', {
        op: 'guest kernel',
        what: `it has no ${name}`,
        nextStep: 'choose another kernel with DMTHIN_GUEST_KERNEL',
      });
    }
    // modules.dep lists the whole closure, each after the ones that need it.
    for (const file of module === undefined ? [] : [...module.needs.toReversed(), module.file])
      order.add(file);
  }
  return [...order];
}

function moduleName(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1).replace(/\.ko(\.\w+)?$/, '');
}
