import type { WorkerSettings } from '../../protocol/settings.js';
import { testedMajors } from '../node-internals.js';
import { testMove } from './self-test.js';

/** Whether this worker takes part in moving kept connections: see docs/explanation/dispatch.md. */
export interface Moving {
  readonly mode: WorkerSettings['balance'];
  isAble(): boolean;
  /** Finds it out. Never rejects. */
  begin(): Promise<void>;
  /** Tells of what keeps connections where they are, once each. */
  tell(reason: string): void;
}

export interface MovingSeam {
  readonly settings: Pick<WorkerSettings, 'balance' | 'dispatch' | 'sticky'>;
  /** Once for the service, by one of its workers; `isAsked`: somebody has asked for it. */
  readonly say: (message: string, isAsked: boolean) => void;
  readonly test?: () => Promise<string | null>;
  readonly version?: string;
}

export function createMoving({
  settings,
  say,
  test = testMove,
  version = process.versions.node,
}: MovingSeam): Moving {
  const { balance, dispatch, sticky } = settings;
  const told = new Set<string>();
  let able = false;
  const tell = (reason: string): void => {
    if (told.has(reason)) return;
    told.add(reason);
    say(`connections stay with the worker that accepted them: ${reason}`, balance === 'on');
  };
  return {
    mode: balance,
    isAble: () => able,
    tell,
    begin: async () => {
      if (balance === 'off' || dispatch !== 'shared' || sticky !== 'off') return;
      const isTested = testedMajors.includes(Number.parseInt(version, 10));
      if (balance === 'auto' && !isTested)
        return tell(`Node ${version} is not one of ${testedMajors.join(', ')}, on which moves are tested`);
      const failure = await test();
      if (failure === null) able = true;
      else tell(`the self-test of moves failed: ${failure}`);
    },
  };
}
