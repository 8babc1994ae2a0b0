/**
 * Layers that between them use everything a layer can say, written so that a snapshotter, or an unpacker on top of it,
 * that mixes layers up cannot end with the right tree.
 */
import {
  chardev,
  directory,
  fifo,
  file,
  hardlink,
  type LayerEntry,
  opaque,
  symlink,
  whiteout,
} from './entries.ts';

const MIB = 1024 * 1024;
const LONG_NAME = 'n'.repeat(255);
/** 1,015 bytes: past every fixed-width field of a tar header. */
const DEEP_PARTS = Array.from({ length: 5 }, (_, index) => String(index).repeat(200));

/** A capability set as the kernel keeps it: revision 2, effective, cap_net_raw permitted (linux/capability.h). */
const CAP_NET_RAW = Buffer.from('0100000200200000000000000000000000000000', 'hex');

const LINK_A = file('srv/t/link-a', 'three names\n', { mode: 0o640, uid: 5 });
const PAIR_A = file('srv/t/pair-a', 'parted later\n');

/** A file of holes: 4 MiB of zeros around a few bytes. */
function mostlyZeros(): Buffer {
  const content = Buffer.alloc(4 * MIB);
  content.write('island', 2 * MIB);
  return content;
}

/** What a file of `size` bytes holds; different for every `seed`, the same in every build. */
function pattern(seed: string, size: number): Buffer {
  return Buffer.alloc(size, `${seed}\n`);
}

function makeEverything(): LayerEntry[] {
  return [
    directory('srv'),
    directory('srv/t', { mode: 0o751, uid: 1000, gid: 1001 }),
    file('srv/t/updated', 'first version\n'),
    file('srv/t/shrunk', pattern('long', 3 * MIB)),
    file('srv/t/chowned', 'same content\n'),
    file('srv/t/chmoded', 'same content\n'),
    file('srv/t/renamed-from', pattern('moved', 100_000)),
    file('srv/t/removed', 'gone in the third layer\n'),
    file('srv/t/removed-and-back', 'old\n'),
    file('srv/t/was-file', 'a directory later\n'),
    directory('srv/t/was-directory'),
    file('srv/t/was-directory/inner', 'hidden by a file later\n'),
    symlink('srv/t/was-symlink', 'updated'),
    directory('srv/t/became-symlink'),
    file('srv/t/became-symlink/inner', 'gone\n'),
    directory('srv/t/tree'),
    directory('srv/t/tree/a'),
    directory('srv/t/tree/a/b'),
    file('srv/t/tree/a/b/c', 'deep\n'),
    directory('srv/t/opaque', { mode: 0o700, uid: 7, gid: 8 }),
    file('srv/t/opaque/lower', 'hidden\n'),
    directory('srv/t/opaque/lower-directory'),
    file('srv/t/opaque/lower-directory/inner', 'hidden\n'),
    directory('srv/t/opaque-late'),
    file('srv/t/opaque-late/lower', 'hidden\n'),
    LINK_A,
    hardlink('srv/t/link-b', LINK_A),
    hardlink('srv/t/link-c', LINK_A),
    PAIR_A,
    hardlink('srv/t/pair-b', PAIR_A),
    symlink('srv/t/relative', '../t/updated'),
    symlink('srv/t/absolute', '/srv/t/updated', { uid: 9, gid: 9 }),
    symlink('srv/t/dangling', '/nowhere/at all'),
    symlink('srv/t/long-target', 'x/'.repeat(300)),
    file('srv/t/setuid', '#!/bin/sh\n', { mode: 0o4755 }),
    file('srv/t/setgid', '#!/bin/sh\n', { mode: 0o2755, gid: 50 }),
    directory('srv/t/sticky', { mode: 0o1777 }),
    file('srv/t/empty', ''),
    file('srv/t/zeros', mostlyZeros()),
    file('srv/t/no-permissions', 'root can read it\n', { mode: 0 }),
    file('srv/t/big-owner', 'x\n', { uid: 4_000_000_000, gid: 3_000_000 }),
    file('srv/t/capable', 'x\n', { mode: 0o755, xattrs: { 'security.capability': CAP_NET_RAW } }),
    file('srv/t/attributed', 'x\n', {
      xattrs: { 'user.note': 'an attribute', 'user.bytes': Buffer.from([0, 1, 254, 255]) },
    }),
    directory('srv/t/attributed-directory', { xattrs: { 'user.note': 'on a directory' } }),
    fifo('srv/t/fifo', { mode: 0o622 }),
    chardev('srv/t/null', [1, 3], { mode: 0o666 }),
    file('srv/t/with space and "quotes"', 'x\n'),
    file('srv/t/line\nbreak', 'x\n'),
    file('srv/t/ünïcödé-名前', 'x\n'),
    file(`srv/t/${LONG_NAME}`, 'a name as long as names get\n'),
    ...DEEP_PARTS.map((_, index) => directory(`srv/t/${DEEP_PARTS.slice(0, index + 1).join('/')}`)),
    file(`srv/t/${DEEP_PARTS.join('/')}/leaf`, 'deep down\n'),
  ];
}

function changeThings(): LayerEntry[] {
  return [
    file('srv/t/updated', 'second version, longer than the first\n'),
    file('srv/t/shrunk', 'short\n'),
    file('srv/t/chowned', 'same content\n', { uid: 1234, gid: 4321 }),
    file('srv/t/chmoded', 'same content\n', { mode: 0o400 }),
    whiteout('srv/t/renamed-from'),
    file('srv/t/renamed-to', pattern('moved', 100_000)),
    directory('srv/t/was-file'),
    file('srv/t/was-file/inner', 'inside what was a file\n'),
    file('srv/t/was-directory', 'a file now\n'),
    file('srv/t/was-symlink', 'a file now, and its old target untouched\n'),
    symlink('srv/t/became-symlink', 'updated'),
    file('srv/t/pair-b', 'parted: pair-a keeps the old content\n'),
    file('srv/t/attributed', 'x\n'),
    directory('srv/t', { mode: 0o750, uid: 1000, gid: 2000 }),
  ];
}

function removeThings(): LayerEntry[] {
  return [
    whiteout('srv/t/removed'),
    whiteout('srv/t/removed-and-back'),
    whiteout('srv/t/link-b'),
    whiteout('srv/t/tree/a'),
    directory('srv/t/opaque', { mode: 0o700, uid: 7, gid: 8 }),
    opaque('srv/t/opaque'),
    file('srv/t/opaque/upper', 'the only one left\n'),
    // The marker after its sibling: it hides lower layers only, wherever it stands in its own.
    directory('srv/t/opaque-late'),
    file('srv/t/opaque-late/upper', 'stays\n'),
    opaque('srv/t/opaque-late'),
    whiteout('srv/t/was-file'),
  ];
}

function bringThingsBack(): LayerEntry[] {
  return [
    file('srv/t/removed-and-back', 'new, and owned by somebody else\n', { uid: 33, gid: 33, mode: 0o604 }),
    // A hard link across layers: its target comes from the first.
    hardlink('srv/t/link-d', LINK_A),
    directory('srv/t/tree/a', { mode: 0o711 }),
    file('srv/t/tree/a/new', 'nothing of the old tree returns\n'),
    file('srv/t/updated', 'third version\n', { mode: 0o600 }),
  ];
}

/** The layers, lowest first. The fifth has no entry at all, which is legal and met in practice. */
export function featureLayers(): LayerEntry[][] {
  return [makeEverything(), changeThings(), removeThings(), bringThingsBack(), []];
}
