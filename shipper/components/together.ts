/**
 * Waits for all; the first that fails ends the others, and is what is thrown once all are at rest.
 *
 * @param failed ends all of the work when it is aborted.
 */
export async function together<T extends readonly unknown[]>(
  failed: AbortController,
  work: { readonly [K in keyof T]: Promise<T[K]> },
): Promise<T> {
  let first: { readonly error: unknown } | undefined;
  const watched = work.map((each) =>
    (each as Promise<unknown>).catch((error) => {
      first ??= { error };
      failed.abort(error);
      return undefined;
    }),
  );
  const results = await Promise.all(watched);
  if (first) throw first.error;
  return results as unknown as T;
}
