/** Which files of the installed production dependencies the program needs at run time. Pure. */

/** Peer dependencies of types alone, tools that build other packages, and the runtime's headers. */
const LEFT_OUT = [
  /^node_modules\/typescript\//,
  /^node_modules\/@types\//,
  /^node_modules\/undici-types\//,
  /^node_modules\/node-addon-api\//,
  /^node_modules\/node-linux-[^/]+\/(include|share)\//,
  /^node_modules\/lmdb\/(dependencies|src)\//,
  // For Node 20 and 22; the pinned one takes the Node-API build.
  /^node_modules\/@lmdb\/[^/]+\/node\.abi\d+\./,
  /^node_modules\/koffi\/(vendor|doc|lib\/native)\//,
  /^node_modules\/koffi\/src\/.*\.(cc|hh|S|asm|inc)$/,
  /^node_modules\/@koromix\/[^/]+\/musl_/,
  /^node_modules\/\.bin\/(?!node$)/,
  /^node_modules\/\.package-lock\.json$/,
  /\/CHANGELOG\.md$/,
  /\.(musl\.node|d\.ts|d\.cts|d\.mts|map)$/,
];

/** @param path below the program's directory, for example `node_modules/pino/index.js`. */
export function isNeeded(path: string): boolean {
  return !LEFT_OUT.some((pattern) => pattern.test(path));
}
