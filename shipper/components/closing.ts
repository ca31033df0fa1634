/** Runs `work` with what is opened for it, and closes that however it ends. Throws what opening, work or closing throw. */
export async function closing<T extends { close(): void | Promise<void> }, R>(
  opening: Promise<T>,
  work: (opened: T) => Promise<R>,
): Promise<R> {
  const opened = await opening;
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}
