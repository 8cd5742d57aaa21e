import { corpus, corpusOfSticky } from './corpus.js';
import { generate } from './generate.js';
import { each, type Finding, type NextScript, playRound, type RoundOptions } from './round.js';
import { type Script, type ServerName, serverNames } from './script.js';
import type { Mode } from './services.js';
import { type Failing, shrink } from './shrink.js';

/** The fixed scripts of a mode, which come first. */
export function corpusFor(mode: Mode): readonly Script[] {
  return mode === 'sticky-address' || mode === 'sticky-cookie' ? [...corpus, ...corpusOfSticky] : corpus;
}

/** `count` scripts, from this seed on. Who may connect to the server "few" depends on who is connected. */
export function generated(
  seed: number,
  count: number,
  servers: readonly ServerName[] = serverNames,
): NextScript {
  const playable = servers.filter((name) => name !== 'few');
  let next = seed;
  return () => (next < seed + count ? generate(next++, playable) : null);
}

/** How often each of the smaller scripts is played: what a move decides does not fail every time. */
const tries = 4;

/** The smallest script that shows what a finding shows: that anything is different at all. */
export async function minimal({ script }: Finding, options: RoundOptions): Promise<Script | null> {
  if (script === null) return null;
  const failing: Failing = async (scripts) => {
    const { findings } = await playRound(each(scripts, tries), options);
    return findings.flatMap((finding) => finding.script ?? []);
  };
  return shrink(script, failing);
}
