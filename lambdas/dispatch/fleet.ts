/** The machines that take commands. */
export interface Fleet {
  /** All that bear the tag of a mail host, whether they can be reached or not. */
  machines(signal?: AbortSignal): Promise<readonly Machine[]>;
  /** Machines on which the document runs, or waits to. */
  running(signal?: AbortSignal): Promise<ReadonlySet<string>>;
  /** Starts the document on up to 50 machines; returns the command's id. */
  start(machines: readonly string[], parameters: Parameters, signal?: AbortSignal): Promise<string>;
}

export interface Machine {
  /** `i-…` on EC2, `mi-…` elsewhere. */
  readonly id: string;
  /** SSM has heard of it within the last minutes. A command waits an hour for one that is away. */
  readonly online: boolean;
}

/** What the document is told, each a text of its allowed pattern. */
export interface Parameters {
  /** Names, separated by spaces. */
  readonly Components: string;
  /** `COMPONENT=SNAPSHOT` of what each may build on, separated by spaces; empty: nothing is known to be intact. */
  readonly Base: string;
  readonly RequestId: string;
}

/** So many machines can be named in one command. */
export const machinesPerCommand = 50;
