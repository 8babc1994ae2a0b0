/** Finds a Debian mirror in the machine's own apt sources, so that no host name is written down here. Pure. */

/** What a private sources.list line needs to know of a mirror. */
export interface Mirror {
  readonly uri: string;
  /** Absolute path of the keyring that the machine trusts for it; undefined: apt's default keyrings. */
  readonly signedBy: string | undefined;
}

interface Entry {
  readonly types: readonly string[];
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  readonly signedBy: string | undefined;
  readonly enabled: boolean;
}

/** Archives of updates only: they have no pool of a whole suite. */
const PARTIAL_SUITE = /-(security|updates|backports|proposed-updates)|\/updates$/;

/**
 * The first mirror of a whole suite, with its `main` component.
 * @param files name (its suffix tells the format, as for apt: `.list` or `.sources`) and contents.
 */
export function findMirror(files: readonly (readonly [name: string, text: string])[]): Mirror | undefined {
  for (const [name, text] of files) {
    for (const entry of name.endsWith('.sources') ? parseDeb822(text) : parseOneLine(text)) {
      const whole = entry.suites.some((suite) => !PARTIAL_SUITE.test(suite));
      const [uri] = entry.uris;
      if (!entry.enabled || !entry.types.includes('deb') || !whole || uri === undefined) continue;
      if (entry.components.includes('main')) return { uri, signedBy: entry.signedBy };
    }
  }
  return undefined;
}

/** The line of a private sources.list that names `suite` on `mirror`, with its package index alone. */
export function sourceLine(mirror: Mirror, suite: string): string {
  const signedBy = mirror.signedBy === undefined ? '' : ` signed-by=${mirror.signedBy}`;
  return `deb [target=Packages lang=none${signedBy}] ${mirror.uri} ${suite} main\n`;
}

/** sources.list(5), "deb822-style format": stanzas of `Field: value`, continued by indented lines. */
function parseDeb822(text: string): Entry[] {
  const withoutComments = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n');
  return withoutComments.split(/\n\s*\n/).map((stanza) => {
    const fields = new Map<string, string>();
    for (const field of stanza.trim().split(/\n(?!\s)/)) {
      const colon = field.indexOf(':');
      if (colon > 0) fields.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
    }
    return {
      types: words(fields.get('types')),
      uris: words(fields.get('uris')),
      suites: words(fields.get('suites')),
      components: words(fields.get('components')),
      signedBy: keyringPath(fields.get('signed-by')),
      enabled: !/^(no|false|without|off|disable)$/i.test(fields.get('enabled') ?? 'yes'),
    };
  });
}

/** sources.list(5), "one-line-style format": `deb [ option=value ... ] uri suite component...`. */
function parseOneLine(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line);
    const [type, options, uri, suite, components] = match?.slice(1) ?? [];
    if (type === undefined || uri === undefined || suite === undefined) return [];
    const signedBy = words(options).find((option) => option.startsWith('signed-by='));
    return [
      {
        types: [type],
        uris: [uri],
        suites: [suite],
        components: words(components),
        signedBy: keyringPath(signedBy?.slice('signed-by='.length)),
        enabled: true,
      },
    ];
  });
}

/** A Signed-By may also be a key itself or fingerprints: then apt's default keyrings have to do. */
function keyringPath(text: string | undefined): string | undefined {
  return words(text).find((word) => word.startsWith('/'));
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}
