import { showDuration } from '../../config/kinds.js';
import { extendBy, extendInterval } from '../../protocol/limits.js';
import { inUnit } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, warning } from '../finding.js';
import type { ServiceUnit } from '../service-unit.js';
import { ofUnit } from './of-unit.js';
import { spanOf } from './stop.js';

/** Whether a start has the time that it takes. */
export const startChecks: readonly Check[] = [ofUnit(timeoutStart)];

/** Until the master has said its first word, which asks for more time; on a busy machine. ms */
const firstWord = extendInterval;

function timeoutStart({ name, timeoutStart }: ServiceUnit, { settings: { config }, node }: Facts): Outcome {
  const boot = `boot_timeout is ${showDuration(config.bootTimeout)}`;
  const asks = `the master asks for ${showDuration(extendBy)} more as long as the start gets on`;
  if (timeoutStart < firstWord) {
    const found = `${spanOf(timeoutStart)}: on a busy machine Node itself takes that long, before it can ask for more`;
    return warning('TimeoutStartSec', found, inUnit(name, 'TimeoutStartSec=90'));
  }
  if (node.addon === null || timeoutStart > config.bootTimeout)
    return ok('TimeoutStartSec', `${spanOf(timeoutStart)} (${boot}; ${asks})`);
  const found = `${spanOf(timeoutStart)}, and ${boot}: without sd-notify the master cannot ask for more`;
  return warning('TimeoutStartSec', found, inUnit(name, 'TimeoutStartSec=90'));
}
