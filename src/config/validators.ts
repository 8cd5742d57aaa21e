// What is used of valibot: asked for as a whole it is 250 kB, which are read on the way to readiness.
export {
  array,
  check,
  integer,
  literal,
  maxValue,
  minLength,
  minValue,
  number,
  picklist,
  pipe,
  regex,
  safeParse,
  string,
  transform,
  union,
} from 'valibot';
