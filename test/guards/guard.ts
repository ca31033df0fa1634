/** One guard of the product, how to take it out, and the test that must notice. */
export interface Guard {
  /** What is guarded, in words. */
  readonly guard: string;
  /** From the top of the repository. */
  readonly file: string;
  /** Exact text that occurs once in the file. */
  readonly find: string;
  /** What stands there without the guard. */
  readonly replace: string;
  readonly test: NamedTest;
  /** Without the guard something waits for ever: then the test is red by not ending in time. */
  readonly hangs?: true;
}

/** A test by its own title, as the source has it: `%s` and the like stand for anything. */
export interface NamedTest {
  /** The file that vitest runs. */
  readonly file: string;
  readonly name: string;
}

/** Matches the title of a test, or (from any space on) its full name. */
export function patternOf({ name }: NamedTest): string {
  const literal = name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  return `(^| )${literal.replace(/%[sdifjo#]|\\\$\w+/g, ".*")}$`;
}

/** Why a guard's text can not be replaced; `undefined` where it can. */
export function complaintOf({ find, replace }: Guard, text: string): string | undefined {
  const occurrences = text.split(find).length - 1;
  if (occurrences !== 1) return `its text occurs ${occurrences} times in the file, not once`;
  return find === replace ? "its replacement changes nothing" : undefined;
}
