/** `dmthin pool`: make, look at and take away thin pools. */
import type { Command } from 'commander';
import { addPoolActivateCommand } from './pool-activate.ts';
import { addPoolCreateCommand } from './pool-create.ts';
import { addPoolDeactivateCommand } from './pool-deactivate.ts';
import { addPoolDestroyCommand } from './pool-destroy.ts';
import { addPoolExtendCommand } from './pool-extend.ts';
import { addPoolStatusCommand } from './pool-status.ts';
import type { CliDeps } from './deps.ts';

export function addPoolCommands(program: Command, deps: CliDeps): void {
  const group = program.command('pool').description('Make, look at and take away thin pools.');
  addPoolCreateCommand(group, deps);
  addPoolStatusCommand(group, deps);
  addPoolExtendCommand(group, deps);
  addPoolActivateCommand(group, deps);
  addPoolDeactivateCommand(group, deps);
  addPoolDestroyCommand(group, deps);
}
