import { StringDecoder } from "node:string_decoder";

/** What a step prints, cut as the agent cuts it (`iohandler.go` and `pluginutil.go` of amazon-ssm-agent). */
export class Output {
  readonly #limit: number;
  readonly #decoder = new StringDecoder("utf8");
  #text = "";

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes more; beyond the limit it is forgotten. */
  readonly add = (bytes: Buffer): void => {
    if (this.#text.length < this.#limit) this.#text += this.#decoder.write(bytes);
  };

  /** At most so many characters as the limit, of which the last say that there was more. */
  get text(): string {
    const mark = "--output truncated--";
    return this.#text.length < this.#limit ? this.#text : this.#text.slice(0, this.#limit - mark.length) + mark;
  }
}

/** The first characters of standard output and error that `GetCommandInvocation` gives. */
export const outputLimits = { stdout: 24_000, stderr: 8000 } as const;

/** Both in one text, as `ListCommandInvocations` gives them: at most 2,500 characters. */
export function together(stdout: string, stderr: string): string {
  const title = stderr === "" ? "" : "\n----------ERROR-------\n";
  const more = { out: "\n---Output truncated---", error: "\n---Error truncated----" };
  const room = 2500 - title.length;
  if (stdout.length + stderr.length < room) return stdout + title + stderr;
  const longOut = stdout.length > room / 2;
  if (longOut && stderr.length > room / 2) {
    const half = Math.floor((room - more.out.length - more.error.length) / 2);
    return stdout.slice(0, half) + more.out + title + stderr.slice(0, half) + more.error;
  }
  if (!longOut) return stdout + title + stderr.slice(0, room - more.error.length - stdout.length) + more.error;
  return stdout.slice(0, room - more.out.length - stderr.length) + more.out + title + stderr;
}
