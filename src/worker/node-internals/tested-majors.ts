/**
 * The only folder of the worker that touches what Node does not document: fields with an underscore, symbols,
 * functions that its modules put on each other. A test checks that no other file does.
 *
 * Rules for what is added here:
 * - One small function for each thing, with a name that says what it does, not the name of Node's field. A comment
 *   names the source file of Node.
 * - Each access is guarded. If the field is missing or is of another kind, the function returns null, false or
 *   undefined, and its callers go on without. No function throws.
 * - Each is tested on the majors in `testedMajors`, by tests that run on all of them.
 */

/** The majors of Node on which the worker's tests run: see `make test-nodes`. */
export const testedMajors: readonly number[] = [20, 22, 24, 26];
