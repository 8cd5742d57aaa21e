import type { Act, Observation } from './observations.js';
import { ofReload, ofScale, ofSigterm, ofStop } from './verdicts/endings.js';
import { ofCut, ofHarm } from './verdicts/harm.js';
import { ofBoot, ofLeak, ofTraffic } from './verdicts/life.js';
import { type Name, placeIn, type Told } from './verdicts/words.js';

/** What production would have lost, or what would have blocked the app. */
export interface Finding {
  readonly act: Act;
  /** The same word for the same kind, for programs. */
  readonly kind: string;
  /** A sentence, with the line of the app where one is to blame. */
  readonly text: string;
  /** `server.js:40`, relative to the app's folder; null: no line is to blame, or none was found. */
  readonly at: string | null;
  /** What to do about it. */
  readonly advice: string;
}

/** What came of an act. */
export interface Verdict {
  readonly act: Act;
  readonly result: 'ok' | 'findings' | 'skipped';
  /** What was seen, or why it was not played. */
  readonly summary: string;
  readonly findings: readonly Finding[];
}

/**
 * What an observation means.
 *
 * @param folder of the app, to which its files are named
 */
export function judge(observation: Observation, folder: string): Verdict {
  const { act } = observation;
  if ('skipped' in observation) return { act, result: 'skipped', summary: observation.skipped, findings: [] };
  if ('broken' in observation) {
    const { broken, lastLines } = observation;
    const ended: Finding = {
      act,
      kind: 'service-ended',
      text: `the service ended in this act: ${lastLines?.at(-1) ?? broken}`,
      at: null,
      advice: 'rom-agent serve shows the whole log',
    };
    // What the rehearsal itself could not do is no fault of the app.
    return lastLines === null
      ? { act, result: 'skipped', summary: `could not be played to its end: ${broken}`, findings: [] }
      : { act, result: 'findings', summary: 'the service ended', findings: [ended] };
  }
  const told = tell(observation, (place) => placeIn(place, folder));
  const findings = told.findings.map((each) => ({ act, ...each }));
  return { act, result: findings.length === 0 ? 'ok' : 'findings', summary: told.summary, findings };
}

type Played = Exclude<Observation, { skipped: string } | { broken: string }>;

function tell(observation: Played, name: Name): Told {
  switch (observation.act) {
    case 'boot':
      return ofBoot(observation, name);
    case 'load':
      return ofTraffic(observation, name);
    case 'leak':
      return ofLeak(observation, name);
    case 'reload':
      return ofReload(observation, name);
    case 'scale':
      return ofScale(observation);
    case 'kill':
    case 'hang':
    case 'memory':
      return ofHarm(observation);
    case 'cut':
      return ofCut(observation);
    case 'stop':
      return ofStop(observation, name);
    case 'sigterm':
      return ofSigterm(observation, name);
  }
}
