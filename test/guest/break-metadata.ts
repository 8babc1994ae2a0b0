/** Damage to a thin pool's metadata that a repair can undo without a loss. */
import { open } from 'node:fs/promises';

const BLOCK_BYTES = 4096;
/** Space-map bitmap blocks begin with crc32c of the rest, xor this: kernel, drivers/md/persistent-data/dm-space-map-common.c. */
const BITMAP_CSUM_XOR = 240_779;

/** Overwrites every space-map bitmap: what is free is forgotten, what belongs to which device is not. */
export async function breakSpaceMaps(path: string): Promise<void> {
  await using device = await open(path, 'r+');
  const block = Buffer.alloc(BLOCK_BYTES);
  let broken = 0;
  for (let at = BLOCK_BYTES; ; at += BLOCK_BYTES) {
    const { bytesRead } = await device.read(block, 0, BLOCK_BYTES, at);
    if (bytesRead < BLOCK_BYTES) break;
    const checksum = (crc32c(block.subarray(4)) ^ BITMAP_CSUM_XOR) >>> 0;
    if (block.readUInt32LE(0) !== checksum) continue;
    await device.write(Buffer.alloc(BLOCK_BYTES, 0xa5), 0, BLOCK_BYTES, at);
    broken += 1;
  }
  await device.sync();
  if (broken === 0) throw new Error(`no bitmap found on ${path}`);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** As the kernel's crc32c() computes it: from all ones, without the final complement. */
function crc32c(bytes: Buffer): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (TABLE[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8);
  return value >>> 0;
}
