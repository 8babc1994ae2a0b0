/** /dev/mapper beside the fake kernel: every device has its entry, but for what a test takes away or adds. */
import type { DeviceNodes, NodeEntry } from '../../src/dm/device-nodes.ts';
import type { FakeHooks } from './dm-client.ts';
import { FAKE_MAJOR, type FakeKernel } from './dm-kernel.ts';

export interface FakeNodes extends Pick<DeviceNodes, 'entries' | 'forget'> {
  /** Names whose entries somebody took away. */
  readonly missing: Set<string>;
  /** Entries without a device. */
  readonly stray: Set<string>;
  /** Hooks for the client, besides `hooks`: who resumes a device makes its entry. */
  following(hooks?: FakeHooks): FakeHooks;
}

export function createFakeNodes(kernel: FakeKernel): FakeNodes {
  const missing = new Set<string>();
  const stray = new Set<string>();
  return {
    missing,
    stray,
    async entries(prefix) {
      const real = [...kernel.devices.values()]
        .filter(({ name, deferredRemove }) => !missing.has(name) && !deferredRemove)
        .map(({ name, minor }): NodeEntry => ({ name, leadsTo: `${FAKE_MAJOR}:${minor}` }));
      const others = [...stray].map((name): NodeEntry => ({ name, leadsTo: undefined }));
      return [...real, ...others].filter(({ name }) => name.startsWith(prefix));
    },
    following: (hooks = {}) => ({
      before: hooks.before,
      async after(call) {
        if (call.step === 'resume' && call.device !== undefined) missing.delete(call.device);
        await hooks.after?.(call);
      },
    }),
    forget: (name) => void stray.delete(name),
  };
}
