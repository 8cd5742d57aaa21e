/** What stands on the top of the page: made by the server for the first paint, and by the page from then on. */
import { diagnose, headline, type Problem, type Severity, type Situation } from './diagnosis.js';

export interface Sentence {
  readonly severity: Severity | 'good' | 'none';
  readonly headline: string;
  /** The cause or the evidence, in words. */
  readonly detail: string | null;
  /** Of the window. */
  readonly title: string;
  /** The one that the headline tells of; null: none is worse than a note. */
  readonly worst: Problem | null;
  /** What else is wrong. */
  readonly others: readonly Problem[];
}

export const icons: Readonly<Record<Sentence['severity'], string>> = {
  critical: '✕',
  serious: '!',
  warning: '!',
  note: 'i',
  good: '✓',
  none: '',
};

export function sentenceOf(situation: Situation, name: string): Sentence {
  const problems = diagnose(situation);
  const [first] = problems;
  const calm = first === undefined || first.severity === 'note';
  const severity = calm && situation.stats === null ? 'none' : (first?.severity ?? 'good');
  return {
    severity,
    headline: headline(situation, problems),
    detail: calm ? null : first.detail,
    title: `${calm ? '' : `${icons[severity]} `}${name} · rom-agent`,
    worst: calm ? null : first,
    others: calm ? problems : problems.slice(1),
  };
}
