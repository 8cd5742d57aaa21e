/** Made when it is first needed; `used` does not make it. */
export function lazy<Value>(make: () => Value): { (): Value; used(): Value | null } {
  let value: Value | null = null;
  const get = (): Value => {
    value ??= make();
    return value;
  };
  return Object.assign(get, { used: () => value });
}

/** A promise and what settles it: Promise.withResolvers, which Node 20 lacks. */
export function deferred<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
