/**
 * Writes a copyright file as Debian wants it: the terms of the Apache License are on each Debian already, so that a
 * reference takes their place. What differs from the license by a word stays, and so do the notices below each copy.
 *
 * Usage: copyright.mjs FILE LICENSE >copyright, where LICENSE is the text of the Apache License.
 */
import { readFileSync } from 'node:fs';

const terms =
  /^[ \t]*Apache License\n[ \t]*Version 2\.0, January 2004\n[\s\S]*?END OF TERMS AND CONDITIONS\n/gm;
const [text, license] = process.argv.slice(2).map((path) => readFileSync(path, 'utf8'));
const words = (part) => part.replace(/\s+/g, ' ').replaceAll('http://', 'https://').trim();
const [known] = license.match(terms);

process.stdout.write(
  text.replace(terms, (copy) => {
    if (words(copy) !== words(known)) return copy;
    const indent = /^[ \t]*(?=END OF)/m.exec(copy)[0];
    return `${indent}The Apache License, Version 2.0, is in /usr/share/common-licenses/Apache-2.0.\n`;
  }),
);
