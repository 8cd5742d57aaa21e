import { jsonSchemas } from '../../../src/control/openapi.js';

type Schema = Readonly<Record<string, unknown>>;

const schemas = jsonSchemas() as Readonly<Record<string, Schema>>;

/** What is wrong with `value` by `schema`: as much of JSON Schema 2020-12 as the document uses. */
export function mismatches(value: unknown, schema: Schema, at = '$'): readonly string[] {
  const wrong = (holds: boolean, what: string): string[] =>
    holds ? [] : [`${at}: ${JSON.stringify(value)} ${what}`];
  const { $ref, type, required, properties, items } = schema;
  const found: string[] = [];
  if (typeof $ref === 'string') found.push(...mismatches(value, resolve($ref), at));
  if (typeof type === 'string') found.push(...wrong(isOf(type, value), `is no ${type}`));
  if ('const' in schema) found.push(...wrong(value === schema.const, `is not ${schema.const}`));
  if ('enum' in schema)
    found.push(...wrong((schema.enum as unknown[]).includes(value), 'is not in the list'));
  if ('minimum' in schema)
    found.push(...wrong((value as number) >= (schema.minimum as number), 'is too small'));
  if ('maximum' in schema)
    found.push(...wrong((value as number) <= (schema.maximum as number), 'is too large'));
  if ('maxItems' in schema)
    found.push(...wrong((value as unknown[]).length <= (schema.maxItems as number), 'is too long'));
  if ('pattern' in schema)
    found.push(...wrong(new RegExp(schema.pattern as string, 'u').test(value as string), 'does not match'));
  if ('not' in schema)
    found.push(...wrong(mismatches(value, schema.not as Schema, at).length > 0, 'is what it must not be'));
  if ('anyOf' in schema) {
    const fits = (schema.anyOf as Schema[]).some((one) => mismatches(value, one, at).length === 0);
    found.push(...wrong(fits, 'fits none of the choices'));
  }
  if ('oneOf' in schema) {
    const fitting = (schema.oneOf as Schema[]).filter((one) => mismatches(value, one, at).length === 0);
    found.push(...wrong(fitting.length === 1, `fits ${fitting.length} of the choices`));
  }
  if (Array.isArray(value) && items !== undefined) {
    found.push(...value.flatMap((item, index) => mismatches(item, items as Schema, `${at}[${index}]`)));
  }
  if (isOf('object', value)) {
    const fields = value as Record<string, unknown>;
    for (const name of (required ?? []) as string[]) found.push(...wrong(name in fields, `lacks ${name}`));
    for (const [name, field] of Object.entries(fields)) {
      const known = (properties as Record<string, Schema> | undefined)?.[name] ?? schema.additionalProperties;
      if (known === false) found.push(`${at}.${name} is not known`);
      else if (known !== undefined) found.push(...mismatches(field, known as Schema, `${at}.${name}`));
    }
  }
  return found;
}

export function resolve(reference: string): Schema {
  const schema = schemas[reference.replace('#/components/schemas/', '')];
  if (schema === undefined) throw new Error(`there is no ${reference}`);
  return schema;
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}
