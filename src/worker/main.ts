import { takeSettings } from '../ipc/settings.js';
import { hideHeapFlags } from './heap-flags.js';

const showHeapFlags = hideHeapFlags(process.execArgv);
// Not before: what is imported brings Node's own modules with it. Not awaited: an app that leaves nothing to do must
// reach beforeExit, not an unsettled top-level await.
/** Rejects where a file is missing: see entry.cjs. */
export const loaded = import('./serve.js');
void loaded.then(
  ({ serve }) => serve(takeSettings(process.env), { showHeapFlags }),
  () => {},
);
