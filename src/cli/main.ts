/** The program's entry: one command line, its exit code. */
import { processDeps } from './process-deps.ts';
import { runCli } from './program.ts';

// A reader that has seen enough (`dmthin snapshots ls | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), processDeps());
