/** The runs of a job, and what one of them wrote. */
import type { JobRun } from '../../protocol/jobs.js';
import type { JobHistory } from '../api.js';
import { failure, openDialog } from './dialogs.js';
import { element, keep, put, say } from './dom.js';
import { jobHistory } from './link.js';
import { runInWords } from './operations.js';
import type { Store } from './store.js';
import { bytes, moment } from './words.js';

/** Between two looks at a run that is not over, ms. */
const again = 1_000;

/** @param wanted the id of a run; null: the last */
export async function showHistory(store: Store, job: string, wanted: string | null): Promise<void> {
  const dialog = openDialog(`Runs of ${job}`, { wide: true });
  const list = element('ol', { class: 'files runs', attributes: { 'aria-label': `Runs of ${job}` } });
  const heading = element('h3', {}, 'Output');
  const output = element('pre', { attributes: { tabindex: '0', 'aria-label': 'Output of the run' } });
  let chosen = wanted;
  let timer: number | undefined;

  const show = ({ runs, run, output: text }: JobHistory): void => {
    const now = store.now();
    if (list.parentElement === null) dialog.body.replaceChildren(list, heading, output);
    keep(list, runs, {
      key: ({ id }) => id,
      make: (one) => runLine(one, now, (id) => void look(id)),
      update: (made, one) => {
        const told = runInWords(one, now);
        const state = made.querySelector('.state');
        if (state !== null) {
          put(state, 'data-state', told.state);
          say(state, told.text);
        }
        const pressed = one.id === run?.id;
        for (const button of made.querySelectorAll('button')) put(button, 'aria-pressed', String(pressed));
      },
    });
    say(
      heading,
      run === null
        ? 'It has not run yet'
        : `Output, ${moment(run.startedMs, now)}, ${bytes(run.outputBytes)}`,
    );
    say(output, text === '' ? 'It wrote nothing.' : text);
  };
  const look = async (id: string | null): Promise<void> => {
    clearTimeout(timer);
    chosen = id;
    const found = await jobHistory(job, id);
    if (!dialog.open || chosen !== id) return;
    if (found === null)
      return dialog.body.replaceChildren(failure('The history cannot be read at the moment.'));
    show(found);
    if (found.runs.some(({ verdict }) => verdict === null))
      timer = window.setTimeout(() => void look(id), again);
  };
  dialog.body.append(element('p', { class: 'muted', attributes: { role: 'status' } }, 'Asking…'));
  dialog.element.addEventListener('close', () => clearTimeout(timer));
  await look(wanted);
}

function runLine({ id, by, startedMs }: JobRun, now: number, choose: (id: string) => void): HTMLLIElement {
  const when = moment(startedMs, now);
  return element(
    'li',
    {},
    element(
      'div',
      {},
      element('span', { class: 'state' }),
      element('p', { class: 'muted' }, `${when}, by ${by}`),
    ),
    element(
      'div',
      { class: 'row-actions' },
      element(
        'button',
        {
          class: 'button quiet',
          attributes: { type: 'button', 'aria-label': `Output of the run at ${when}` },
          click: () => choose(id),
        },
        'Output',
      ),
    ),
  );
}
