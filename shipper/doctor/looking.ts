/** Looking at one thing after the other: what goes wrong with one says nothing of the next. */
import { asMailarkError, type MailarkError } from "../../core/errors.ts";
import { type Fix, found, type Observation, unproven } from "./observation.ts";

/**
 * What `look` sees. What it throws means that nothing was seen.
 *
 * @throws the reason of an abort.
 */
export async function looked(
  check: string,
  { signal }: { readonly signal: AbortSignal },
  look: () => Promise<readonly Observation[]> | readonly Observation[],
): Promise<readonly Observation[]> {
  try {
    return await look();
  } catch (thrown) {
    signal.throwIfAborted();
    return [unproven(check, reasonOf(thrown))];
  }
}

/** The message and the first words of the detail, in one line. */
export function reasonOf(thrown: unknown): string {
  const { message, detail } = asMailarkError(thrown);
  const [first = ""] = (detail ?? "").split("\n").filter((line) => line.trim() !== "");
  return [message, first].filter(Boolean).join(": ");
}

/** The advice of an error. */
export const adviceOf = (thrown: unknown, otherwise: string): Fix => ({
  advice: asMailarkError(thrown).hint ?? otherwise,
});

/** What keeps a component from being captured at all. */
export function obstacle(check: string, thrown: unknown): Observation {
  const error = asMailarkError(thrown);
  const said = `${error.message}\n${error.detail ?? ""}`;
  const code = signs.find(({ is }) => is(error, said))?.code ?? "CAPTURE_IMPOSSIBLE";
  return found(code, check, reasonOf(error), adviceOf(error, `mend that: ${reasonOf(error)}`));
}

const signs = [
  { code: "PLACE_UNREACHABLE", is: (error: MailarkError) => error.code === "PLACE_UNREACHABLE" },
  { code: "TOOL_MISSING", is: (error: MailarkError) => error.code === "PROGRAM_MISSING" },
  { code: "SECRET_MISSING", is: (error: MailarkError) => error.code === "CONFIG_INVALID" },
  {
    code: "CREDENTIALS_REFUSED",
    is: (_: MailarkError, said: string) =>
      /ERROR (1045|1698)\b|authentication failed|no password supplied|fe_sendauth|role ".*" does not exist|NOAUTH|WRONGPASS|AUTH failed|refuses the password/.test(
        said,
      ),
  },
  {
    code: "SERVER_UNREACHABLE",
    is: (_: MailarkError, said: string) =>
      /ERROR (2002|2003|2005|2006|2013)\b|connection to server|could not connect|Could not connect|Connection refused|can not be reached|sent nothing/.test(
        said,
      ),
  },
] as const;
