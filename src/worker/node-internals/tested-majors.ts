/**
 * The only folder of a worker that touches what Node keeps beside its documented interface: fields with an underscore,
 * symbols, what its modules keep on each other. A test holds every other file to that.
 *
 * For who adds something here:
 * - One small function for each thing, named by what it says or does and not by Node's field. It names the file of Node
 *   that it is from.
 * - Each access is guarded. Where the field is missing or is of another kind, the function says so (null, false,
 *   undefined) and whoever calls it has a plain way to go on without. None of them throws.
 * - Each is checked on the majors in `testedMajors`, by tests that run on all of them.
 */

/** The majors of Node on which the tests of this directory have run. */
export const testedMajors: readonly number[] = [20, 22, 24, 26];
