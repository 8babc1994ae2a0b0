/** Telling one block device from the next that gets the same number. */
import { readFile } from 'node:fs/promises';

/**
 * `major:minor` and the number that the kernel counts up with every disk that appears, as in `254:2 #52`. Without the latter on
 * kernels before 5.15, which do not count, and where the device has gone.
 * Source: kernel, Documentation/ABI/stable/sysfs-block, diskseq.
 */
export async function identifyDisk(device: string, sys = '/sys'): Promise<string> {
  try {
    return `${device} #${(await readFile(`${sys}/dev/block/${device}/diskseq`, 'utf8')).trim()}`;
  } catch {
    return device;
  }
}
