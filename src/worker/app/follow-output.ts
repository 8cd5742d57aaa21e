import { followOutput, type Output } from '../../logging/output-file.js';
import { pointStream } from '../node-internals.js';

/**
 * Follows the rotated file of standard output, and takes along what the app writes to process.stdout and process.stderr.
 * Children of the app, and native code, keep the file that they began with.
 *
 * @param path null: there is none
 */
export function followWithStreams(path: string | null, process: NodeJS.Process): Output {
  return followOutput({
    path,
    onMoved: (fd) => {
      for (const stream of [process.stdout, process.stderr]) pointStream(stream, fd);
    },
  });
}
