import { corpus, corpusOfSticky } from './corpus.js';
import { generate } from './generate.js';
import { each, type Finding, type NextScript, playRound, type RoundOptions } from './round.js';
import { type Script, type ServerName, serverNames } from './script.js';
import type { Mode } from './services.js';
import { type Failing, shrink } from './shrink.js';

/** The fixed scripts of a mode, which come first. */
export function corpusFor(mode: Mode): readonly Script[] {
  const isSticky = mode === 'sticky-address' || mode === 'sticky-cookie';
  const scripts = isSticky ? [...corpus, ...corpusOfSticky] : corpus;
  return scripts.filter(({ server }) => isFor(mode, server));
}

export interface Series {
  readonly mode: Mode;
  /** Of the first one. */
  readonly seed: number;
  readonly count: number;
  readonly servers?: readonly ServerName[];
}

/** Scripts by their seeds. Who may connect to the server "few" depends on who is connected. */
export function generated({ mode, seed, count, servers = serverNames }: Series): NextScript {
  const playable = servers.filter((name) => name !== 'few' && isFor(mode, name));
  let next = seed;
  return () => (next < seed + count ? generate(next++, playable) : null);
}

/** A cookie is found in the first bytes of a connection only, which are the app's own on these servers. */
function isFor(mode: Mode, server: ServerName): boolean {
  return mode !== 'sticky-cookie' || (server !== 'fronted' && server !== 'detour');
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
