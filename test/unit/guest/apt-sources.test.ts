import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findMirror, sourceLine } from '../../../guest/apt-sources.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const DEB822 = `# comment
Types: deb
# comment in a stanza
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: http://mirror.example/debian
 http://second.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: ${KEYRING}
`;

describe('apt sources', () => {
  it('in deb822 format: the first whole suite, first of several addresses, its keyring', () => {
    assert.deepEqual(findMirror([['debian.sources', DEB822]]), {
      uri: 'http://mirror.example/debian',
      signedBy: KEYRING,
    });
  });

  it('in one-line format, with and without options', () => {
    const line = (text: string) => findMirror([['sources.list', text]]);
    assert.deepEqual(
      line(`#deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb http://security.example/debian-security bookworm-security main
deb http://old-security.example/ buster/updates main
deb [arch=amd64 signed-by=${KEYRING}] http://mirror.example/debian bookworm main contrib # note`),
      { uri: 'http://mirror.example/debian', signedBy: KEYRING },
    );
    assert.deepEqual(line('deb http://mirror.example/debian bookworm main'), {
      uri: 'http://mirror.example/debian',
      signedBy: undefined,
    });
  });

  it('skips what is disabled, sources only, or without main', () => {
    const stanza = (more: string) =>
      `Types: deb\nURIs: http://a.example\nSuites: stable\nComponents: main\n${more}\n`;
    assert.notEqual(findMirror([['a.sources', stanza('')]]), undefined);
    assert.equal(findMirror([['a.sources', stanza('Enabled: no')]]), undefined);
    assert.equal(findMirror([['a.sources', stanza('').replace('deb', 'deb-src')]]), undefined);
    assert.equal(findMirror([['a.sources', stanza('').replace('main', 'stable')]]), undefined);
    assert.equal(findMirror([['a.list', '']]), undefined);
  });

  it('takes a key written out in Signed-By for no path', () => {
    const text = `Types: deb\nURIs: http://a.example\nSuites: stable\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n`;
    assert.deepEqual(findMirror([['a.sources', text]]), { uri: 'http://a.example', signedBy: undefined });
  });

  it('become a line that names another suite of the same mirror', () => {
    const mirror = { uri: 'http://a.example/debian', signedBy: KEYRING };
    assert.equal(
      sourceLine(mirror, 'sid'),
      `deb [target=Packages lang=none signed-by=${KEYRING}] http://a.example/debian sid main\n`,
    );
  });
});
