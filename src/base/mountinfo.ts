/** What is mounted, as proc_pid_mountinfo(5) tells it. */

export interface Mounted {
  /** `major:minor` of the filesystem. */
  readonly device: string;
  readonly directory: string;
  /** What is mounted there, as it was named to mount(8). */
  readonly source: string;
}

/** Blanks in names are written as octal numbers. Pure. */
export function parseMountinfo(text: string): Mounted[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const [, , device = '', , directory = ''] = before.split(' ');
      return { device, directory: unescape(directory), source: unescape(after.split(' ')[1] ?? '') };
    });
}

function unescape(word: string): string {
  return word.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
