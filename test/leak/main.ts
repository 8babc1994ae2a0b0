/** The long run, in the guest: `npm run leak`. Prints a table in Markdown. */
import { parseArgs } from 'node:util';
import { findGrowth, measureLeaks } from './leak.ts';

const { values } = parseArgs({ options: { operations: { type: 'string', default: '100000' } } });
const operations = Number(values.operations);
if (!Number.isSafeInteger(operations) || operations < 1000) {
  console.error('usage: npm run leak [-- --operations N], N at least 1000');
  process.exit(64);
}
console.log('| operations | seconds | resident MiB | file descriptors | threads |');
console.log('| ---------: | ------: | -----------: | ---------------: | ------: |');
const samples = await measureLeaks({
  operations,
  every: Math.ceil(operations / 20),
  onSample: (sample) =>
    console.log(
      `| ${sample.operations} | ${sample.seconds} | ${sample.rssMiB} | ${sample.descriptors} | ${sample.threads} |`,
    ),
});
const growth = findGrowth(samples);
console.log(growth.length === 0 ? '\nnothing grew' : `\n${growth.join('\n')}`);
process.exitCode = growth.length === 0 ? 0 : 1;
