/** Runs other programs: argv arrays, never a shell; LC_ALL=C; time and output bounded. */
import { execFile, type ExecFileException } from 'node:child_process';
import { DmthinError } from './errors.ts';

export interface ProcessResult {
  /** Exit code; null when a signal ended the process. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOptions {
  /** Default 30 000. The process gets SIGKILL after it. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input, which is then closed; default: empty. */
  readonly input?: string;
}

/** The seam through which everything that needs another program runs it. */
export type RunProcess = (
  file: string,
  args: readonly string[],
  options?: ProcessOptions,
) => Promise<ProcessResult>;

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Runs `file` and resolves with its exit code and output, whatever the code is.
 * @throws unsupported when the program is not installed; deadline_exceeded; cancelled; internal when it cannot start.
 */
export const runProcess: RunProcess = (file, args, options = {}) => {
  const { timeoutMs = 30_000, signal, env, input } = options;
  const op = [file, ...args].join(' ');
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      [...args],
      {
        encoding: 'utf8',
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: MAX_OUTPUT_BYTES,
        env: { ...process.env, ...env, LC_ALL: 'C' },
        ...(signal === undefined ? {} : { signal }),
      },
      (error, stdout, stderr) => {
        if (error === null) resolve({ exitCode: 0, stdout, stderr });
        else if (typeof error.code === 'number') resolve({ exitCode: error.code, stdout, stderr });
        else reject(explain(op, file, error, timeoutMs));
      },
    );
    // A program that does not read its input closes the pipe early; its exit code tells the story.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
};

function explain(op: string, file: string, error: ExecFileException, timeoutMs: number): DmthinError {
  if (error.code === 'ENOENT') {
    return new DmthinError(
      'unsupported',
      {
        op,
        what: `the program ${file} is not installed`,
        errno: 'ENOENT',
        nextStep: `install the package that has ${file}`,
      },
      error,
    );
  }
  if (error.code === 'ABORT_ERR') return new DmthinError('cancelled', { op, what: 'cancelled' }, error);
  if (error.killed === true) {
    return new DmthinError('deadline_exceeded', { op, what: `did not end within ${timeoutMs} ms` }, error);
  }
  return new DmthinError('internal', { op, what: error.message, errno: String(error.code ?? '') }, error);
}

/**
 * Like {@link runProcess}, but a non-zero exit is an error that carries the program's own words.
 * @returns standard output.
 */
export async function runChecked(
  run: RunProcess,
  file: string,
  args: readonly string[],
  options?: ProcessOptions,
): Promise<string> {
  const result = await run(file, args, options);
  if (result.exitCode === 0) return result.stdout;
  const words = (result.stderr.trim() || result.stdout.trim()).slice(0, 2000);
  throw new DmthinError('internal', {
    op: [file, ...args].join(' '),
    what: `exit code ${result.exitCode ?? 'none (killed by a signal)'}: ${words}`,
  });
}
