import type { DeployOrigin, DeployStage, DeployVerdict } from '../protocol/deploy.js';

/** Of the deploy that is under way; written before each stage begins. */
export interface Journal {
  readonly version: 1;
  /** Of the release. */
  readonly id: string;
  readonly ref: string | null;
  readonly commit: string | null;
  readonly by: string;
  readonly origin: DeployOrigin;
  /** Wall clock, ms since 1970. */
  readonly atMs: number;
  /** The stage that begins. */
  readonly stage: DeployStage;
  /** To what `current` leads before the switch; null: nothing. */
  readonly previous: string | null;
  /** With `back` and `prune`: what came of it. */
  readonly outcome: Outcome | null;
}

export interface Outcome {
  readonly verdict: DeployVerdict;
  readonly reason: string | null;
}

/** What is there. */
export interface OnDisk {
  /** To which release `current` leads; null: to none. */
  readonly current: string | null;
  /** Whether the release before is still there. */
  readonly hasPrevious: boolean;
}

/** What became of a reload. */
export type ReloadVerdict = { readonly state: 'done' } | { readonly state: 'bad'; readonly reason: string };

/** What is known of the reload of this deploy. `none`: nobody asked for it, or nobody knows any more. */
export type ReloadState = ReloadVerdict | { readonly state: 'running' } | { readonly state: 'none' };

export type Decision =
  /** `current` leads to the release before, what is unfinished is removed. */
  | ({ readonly do: 'back' } & Outcome)
  /** The release stays; what is left is to clean up and to write the history. */
  | ({ readonly do: 'finish' } & Outcome)
  | { readonly do: 'reload' }
  | { readonly do: 'wait' };

export interface Situation {
  readonly disk: OnDisk;
  readonly reload: ReloadState;
  /** `start`: the service begins, and no worker runs yet. `running`: the master lived on. */
  readonly when: 'start' | 'running';
}

/**
 * What becomes of a deploy whose process is gone, from its journal and from what is on disk. Every stage answers every
 * situation: the release is proven and stays, its reload goes on, or the release before comes back.
 */
export function decide(journal: Journal, situation: Situation): Decision {
  const { disk } = situation;
  const { id, stage, outcome } = journal;
  switch (stage) {
    case 'check':
    case 'fetch':
    case 'step':
    case 'seal':
      return back(`interrupted at the stage ${stage}`);
    case 'switch':
      // The rename is one step: the link leads to either. Nobody has been asked for a reload before the next stage.
      if (disk.current !== id) return back('interrupted before current was switched');
      return unproven(journal, { ...situation, reload: { state: 'none' } });
    case 'reload':
      // Somebody else has moved the link: it is left as it is.
      if (disk.current !== id)
        return back(`interrupted at the reload; current leads to ${disk.current ?? 'no release'} meanwhile`);
      return unproven(journal, situation);
    case 'back':
      return {
        do: 'back',
        ...(outcome ?? { verdict: 'interrupted', reason: 'interrupted on the way back' }),
      };
    case 'prune':
      return { do: 'finish', ...(outcome ?? done) };
  }
}

const done: Outcome = { verdict: 'done', reason: null };

/** `current` leads to the new release. */
function unproven({ previous }: Journal, { disk, reload, when }: Situation): Decision {
  if (reload.state === 'done') return { do: 'finish', ...done };
  const canGoBack = previous !== null && disk.hasPrevious;
  if (reload.state === 'bad') return { do: 'back', verdict: 'rolled-back', reason: reload.reason };
  if (when === 'running') return { do: reload.state === 'running' ? 'wait' : 'reload' };
  // A start has no canary: what serves next is what was proven last.
  if (canGoBack) return back('interrupted at the reload, before its verdict');
  return { do: 'finish', ...done };
}

function back(reason: string): Decision {
  return { do: 'back', verdict: 'interrupted', reason };
}
