/**
 * Option files of the client programs. Only how to reach a server is taken from them: an `ignore-table`, a `where` or a `no-data` that
 * somebody wrote there for another purpose would take tables or rows out of a backup, and nothing in the dump would tell.
 */
import { MailarkError } from "../../../core/errors.ts";
import { outputOf, type Processes } from "../../processes.ts";

/** A setting as it stands in an option file. */
export interface Setting {
  readonly name: string;
  readonly value?: string;
}

/** The sections that every client program of a flavour reads. */
const groups = { mysql: ["client"], mariadb: ["client", "client-server", "client-mariadb"] };

const connecting =
  /^(user|pass|password[123]?|host|port|socket|protocol|bind-address|compress|compression-algorithms|zstd-compression-level|(ssl|tls)(-.*)?|default-auth|plugin-dir|secure-auth|enable-cleartext-plugin|get-server-public-key|server-public-key-path)$/;

/** What mailark says on every command line anyway, or what does not change what is dumped. */
const harmless =
  /^(opt|comments|quick|single-transaction|hex-blob|default-character-set|max-allowed-packet|net-buffer-length|quote-names|add-drop-table|add-locks|create-options|disable-keys|extended-insert|lock-tables|set-charset|no-tablespaces|column-statistics|set-gtid-purged|verbose)$/;

/**
 * How option files say to reach the server, the strongest last.
 *
 * @param leading the arguments that say which files are read.
 * @returns undefined where there is no program that reads them.
 */
export async function connectionSettings(
  processes: Processes,
  flavour: keyof typeof groups,
  leading: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly signal: AbortSignal },
): Promise<readonly Setting[] | undefined> {
  const ask = (more: readonly string[]) =>
    outputOf(processes, ["my_print_defaults", ...leading, ...more, ...groups[flavour]], options);
  try {
    // MySQL's hides passwords without the word that MariaDB's does not know.
    const text = await ask(["--show"]).catch((error: MailarkError) => {
      options.signal.throwIfAborted();
      if (error.code === "PROGRAM_MISSING") throw error;
      return ask([]);
    });
    return settingsOf(text.toString("utf8")).filter(({ name }) => isConnecting(name));
  } catch (error) {
    if (error instanceof MailarkError && error.code === "PROGRAM_MISSING") return undefined;
    throw error;
  }
}

function settingsOf(text: string): Setting[] {
  // A value may go on in the next line.
  return text.split(/\n(?=--|$)/).flatMap((line) => {
    const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(line) ?? [];
    return name === undefined ? [] : [{ name, ...(value !== undefined && { value }) }];
  });
}

/** Settings as an option file that every client program reads. */
export function optionFileText(settings: readonly Setting[]): string {
  return `[client]\n${settings.map((setting) => `${optionLine(setting)}\n`).join("")}`;
}

/** One setting as a line of an option file. */
export function optionLine({ name, value }: Setting): string {
  return value === undefined ? name : `${name}="${escaped(value)}"`;
}

function escaped(value: string): string {
  const marks: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  return value.replace(/[\\"]/g, "\\$&").replace(/[\n\r\t]/g, (mark) => marks[mark]!);
}

/**
 * Looks at what a program says that its option files give it, where they are out of reach.
 *
 * @param said what it prints for `--print-defaults`.
 * @throws MailarkError `CONFIG_INVALID` when something there may change what is dumped.
 */
export function refuseForeignOptions(said: string): void {
  const options = said.split(/\s+/).flatMap((word) => /^--([^=]+)/.exec(word)?.[1] ?? []);
  const foreign = options.filter((name) => !isConnecting(name) && !harmless.test(plain(name)));
  if (foreign.length === 0) return;
  throw new MailarkError("CONFIG_INVALID", "an option file may take something out of the dump", {
    detail: foreign.join(", "),
    hint: "remove these settings from the option files that the dump program reads where it runs, or give them to other programs by another section",
  });
}

const plain = (name: string) => name.replaceAll("_", "-").replace(/^loose-/, "");
const isConnecting = (name: string) => connecting.test(plain(name).replace(/^(skip|disable|enable)-(?!cleartext)/, ""));
