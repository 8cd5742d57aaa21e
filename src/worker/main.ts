import { otherBuildThan } from '../protocol/build.js';
import { takeSettings } from '../protocol/settings.js';
import { hideHeapFlags } from './heap-flags.js';

const showHeapFlags = hideHeapFlags(process.execArgv);
const settings = takeSettings(process.env);
const other = otherBuildThan(settings.build);
// Imported late, because these modules import Node's own. Not awaited: an app that leaves nothing to do must reach
// beforeExit, not an unsettled top-level await.
/** Rejects if a file is missing: see entry.cjs. */
export const loaded =
  other === null
    ? import('./serve.js').then(
        ({ serve }) =>
          () =>
            serve(settings, { showHeapFlags }),
      )
    : import('./channel.js').then(
        ({ refuse }) =>
          () =>
            refuse(other),
      );
void loaded.then(
  (begin) => begin(),
  () => {},
);
