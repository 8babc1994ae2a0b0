/** Snapshots drawn below their parents. */
import type { SnapshotInfo } from '../snapshotter/snapshotter.ts';
import type { Paint } from './terminal.ts';

/**
 * One line a snapshot, children indented below their parent in the order given. A snapshot whose parent is not among
 * `infos` (removed while the list was read) stands at the top. Iterative: a chain of layers may be any length.
 */
export function formatTree(infos: readonly SnapshotInfo[], paint: Paint): string {
  const names = new Set(infos.map(({ name }) => name));
  const children = Map.groupBy(infos, ({ parent }) => (names.has(parent) ? parent : ''));
  const lines: string[] = [];
  const pending = toNodes(children.get(''), '', true);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const { info, lead, indent } = node;
    lines.push(`${lead}${info.name}  ${paint('dim', info.kind)}`);
    pending.push(...toNodes(children.get(info.name), indent, false));
  }
  return lines.join('\n');
}

interface Node {
  readonly info: SnapshotInfo;
  /** What stands before the name. */
  readonly lead: string;
  /** What stands before the lead of its children. */
  readonly indent: string;
}

/** In reverse, so that the last one pushed on the stack is the first one drawn. */
function toNodes(infos: readonly SnapshotInfo[] | undefined, indent: string, top: boolean): Node[] {
  return (infos ?? [])
    .map((info, index, { length }) => {
      if (top) return { info, lead: '', indent: '' };
      const last = index === length - 1;
      return { info, lead: `${indent}${last ? '└─ ' : '├─ '}`, indent: `${indent}${last ? '   ' : '│  '}` };
    })
    .reverse();
}
