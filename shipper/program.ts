/**
 * The command line: words into options, outcomes into text or JSON, errors into exit statuses.
 */
import { resolve } from "node:path";
import { Command, CommanderError, Option } from "commander";
import { asMailarkError, exitCodes, MailarkError } from "../core/errors.ts";
import type { Audit } from "./audit.ts";
import { auditedCommand, endOf } from "./commands/audited.ts";
import { backup } from "./commands/backup.ts";
import type { CommandContext, Context, Outcome } from "./commands/command.ts";
import { doctor } from "./commands/doctor.ts";
import { drill } from "./commands/drill.ts";
import { enrol } from "./commands/enrol.ts";
import { init } from "./commands/init.ts";
import { list } from "./commands/list.ts";
import { prune } from "./commands/prune.ts";
import { restore } from "./commands/restore.ts";
import { show } from "./commands/show.ts";
import { verify } from "./commands/verify.ts";
import { defaultConfigPath } from "./config.ts";
import { errorDocument, errorText } from "./terminal/error-text.ts";
import { type LogLevel, logLevels, type Output, reporterOf } from "./terminal/reporter.ts";
import { traced } from "./trace.ts";
import { version } from "./version.ts";

interface Globals {
  readonly config?: string;
  readonly json?: boolean;
  readonly debug?: boolean;
  readonly logLevel?: LogLevel;
}

/** Runs one command line, the words after the program's name, and returns its exit status. Never throws. */
export async function run(words: readonly string[], machine: Context): Promise<number> {
  const context = { ...machine, stderr: withoutKeys(machine.stderr) };
  const flags = { json: words.includes("--json"), debug: words.includes("--debug") };
  let outcome: Outcome | undefined;
  let audit: Audit | undefined;
  let help = "";
  const program = commandLine(
    context,
    (text) => {
      help += text;
    },
    async (work) => {
      outcome = await work;
    },
  ).hook("preAction", (_, command) => {
    audit = auditedCommand(contextOf(context, command.optsWithGlobals()), command.name(), command.opts(), words);
    audit?.began();
  });
  try {
    await program.parseAsync([...words], { from: "user" });
    if (outcome === undefined) throw new MailarkError("INTERNAL", "the command has no outcome");
    // What was done is done, whether it can be told or not.
    audit?.ended(endOf(outcome));
    audit = undefined;
    await tell(context, flags.json, outcome);
    return outcome.exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) {
      await context.stdout.write(help).catch(() => {});
      return exitCodes.ok;
    }
    const error = thrown instanceof CommanderError ? usageError(thrown, words) : asMailarkError(thrown);
    audit?.ended({ exitCode: error.exitCode, error: error.code });
    return tellError(context, error, flags);
  }
}

type Perform = (work: Promise<Outcome>) => Promise<void>;

function commandLine(context: Context, print: (text: string) => void, perform: Perform): Command {
  const program = new Command("mailark")
    .description("Backup and disaster recovery for self-hosted mail servers.")
    .version(version, "--version", "print the version")
    .helpOption("--help", "print this help")
    .helpCommand(false)
    .option("--config <file>", `configuration file (default: ${defaultConfigPath}, or MAILARK_CONFIG)`)
    .option("--json", "print one JSON document; progress and warnings are JSON lines on standard error")
    .addOption(new Option("--log-level <level>", "what is told on standard error (default: warn)").choices(logLevels))
    .option("--debug", "tell everything, and where an error came from: --log-level debug and more")
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => {}, getOutHelpWidth: () => context.stdout.columns ?? 80 })
    .addHelpText("after", `\nFirst steps:\n  mailark init\n  mailark backup\n  mailark verify\n${exitStatuses}`);

  const verb = (usage: string, description: string, example: string) =>
    program
      .command(usage)
      .description(description)
      .helpOption("--help", "print this help")
      .addHelpText(
        "after",
        `\nExample:\n  ${example}\n\nGlobal options: --config FILE, --json, --log-level LEVEL, --debug`,
      );
  const within = (command: Command) => contextOf(context, command.optsWithGlobals());
  const fromStore = (command: Command) =>
    command
      .option("--store <url>", "read this store, file:///DIR, instead of the configured one")
      .option("--host <id>", "a host of the store; needed only where there are several")
      .option("--fingerprint <hex>", "believe only the signing key on the recovery sheet; may be repeated", append);

  verb(
    "init",
    "look at this host, write a configuration and print the recovery sheet",
    "mailark init --store file:///mnt/backup/mailark",
  )
    .option("--store <url>", "where backups go (default: file:///var/backups/mailark); may be repeated", append)
    .option("--component <name...>", "only these, of what is found (default: everything)")
    .option("--mail-root <dir>", "directory that all mailboxes are below")
    .option("--mysql-socket <file>", "socket of the MariaDB or MySQL server")
    .option("--mysql-defaults-file <file>", "option file with the database's user and password")
    .option("--name <name>", "name of this host, for people (default: its host name)")
    .option("--state <dir>", "directory of what is remembered between runs (default: /var/lib/mailark)")
    .option("--recovery-recipient <age1…>", "public half of a recovery key of your own: then none is made or printed")
    .option("--drill-recipient <age1…>", "public half of a second key, for restore drills")
    .option("--yes", "print the recovery key also where the output is not a terminal")
    .action((options, command) => perform(init(within(command), options)));

  verb(
    "backup [component...]",
    "capture the components of this host, or those that are named",
    "mailark backup mail --dry-run",
  )
    .option("--configured", "of those that are named, only what this host has: for one schedule of many hosts")
    .option("--dry-run", "look, and say what would be read")
    .action((components, options, command) => perform(backup(within(command), { ...options, components })));

  fromStore(verb("list [component...]", "list snapshots, the oldest first", "mailark list mail"))
    .option("--hosts", "list the hosts of the store instead")
    .action((components, options, command) => perform(list(within(command), { ...options, components })));

  fromStore(
    verb(
      "show <snapshot> [component]",
      "show one snapshot: latest, an id, or the last up to a time",
      "mailark show latest mail --identity recovery.key",
    ),
  )
    .option("--identity <file>", "the recovery key, - for standard input: shows names as well")
    .action((snapshot, component, options, command) =>
      perform(show(within(command), { ...options, snapshot, component })),
    );

  fromStore(
    verb(
      "verify [what...]",
      "compare the store with what was signed: all, components, or snapshots by id",
      "mailark verify --deep --identity recovery.key",
    ),
  )
    .option("--deep", "decrypt and compare everything as well")
    .option("--identity <file>", "the recovery key, - for standard input; for --deep")
    .action((what, options, command) => perform(verify(within(command), { ...options, what })));

  fromStore(
    verb(
      "restore [component]",
      "bring a snapshot back into an empty place, and check it",
      "mailark restore mail --identity recovery.key --to /srv/restored --mailbox alice@example.com",
    ),
  )
    .option("--at <moment>", "latest, the id of a snapshot, or a time in UTC: the last snapshot up to then", "latest")
    .option("--to <dir>", "directory that is empty or not there yet")
    .option("--into-service", "into the configured service, which must be empty")
    .option("--identity <file>", "the recovery key, - for standard input")
    .option("--mailbox <address...>", "only these mailboxes, by address or path")
    .option("--database <name...>", "only these databases")
    .option("--path <path...>", "only these files and directories, by their paths on the host")
    .option("--all", "the whole host, onto a machine whose services are installed and empty")
    .option("--accept", "with --all: take what a check found wrong, and start without what is missing")
    .option("--unpinned", "with --all: believe whichever signing key the store introduces")
    .option("--dry-run", "say what would be restored, and how large it is")
    .action((component, options, command) => perform(restore(within(command), { ...options, component })));

  fromStore(
    verb(
      "drill [component...]",
      "bring everything back into a scratch place, prove it, and leave nothing",
      "mailark drill --identity drill.key",
    ),
  )
    .option("--at <moment>", "latest, or a time in UTC: the last snapshots up to then", "latest")
    .option("--identity <file>", "the drill key or the recovery key, - for standard input")
    .option("--scratch <dir>", "directory with room for everything (default: /var/tmp)")
    .option("--probe <address>", "mailbox that a test message is sent to")
    .option("--probe-password-file <file>", "its password: then logging in is proven too")
    .option("--report <file>", "write the report there as well, as JSON")
    .action((components, options, command) => perform(drill(within(command), { ...options, components })));

  fromStore(
    verb(
      "prune",
      "say what has expired in a store, and erase it with --delete",
      "mailark prune --daily 7 --weekly 4 --monthly 12",
    ),
  )
    .option("--delete", "erase it; without this nothing is changed")
    .option("--keep-last <number>", "keep the newest so many of each component", number)
    .option("--hourly <number>", "keep one for each of the newest so many hours that have one", number)
    .option("--daily <number>", "the same for days", number)
    .option("--weekly <number>", "the same for weeks", number)
    .option("--monthly <number>", "the same for months", number)
    .option("--yearly <number>", "the same for years", number)
    .option("--keep-within-days <days>", "keep all that are younger", number)
    .option("--maximum-age-days <days>", "keep none that is older, but the last good one", number)
    .option("--maximum-expire-share <share>", "refuse to erase more than this share at once (default: 0.5)", number)
    .option("--hold <id>", "keep this snapshot whatever the rules say; may be repeated", append)
    .option("--drop <id>", "give up this snapshot, which can not be used; may be repeated", append)
    .option("--trust-clock", "let ages count also where the host has stored nothing for more than three days")
    .action((options, command) => perform(prune(within(command), options)));
  verb(
    "doctor [what...]",
    "look at all that a backup and a restore need: everything, or components, machine, store, drill",
    "mailark doctor",
  )
    .option("--scratch <dir>", "directory that drills use (default: /var/tmp)")
    .option("--strict", "warnings, and what can not be looked at, make the exit status 1 as well")
    .action((what, options, command) => perform(doctor(within(command), { ...options, what })));

  verb("enrol", "introduce this host to the configured stores, and say how it is approved", "mailark enrol")
    .alias("enroll")
    .action((_, command) => perform(enrol(within(command))));
  return program;
}

const exitStatuses = `
Exit status:
  0 done       1 failed     2 usage or configuration   3 done in part   4 verification failed
  5 locked     6 store can not be reached              7 refused for safety   130 interrupted`;

/** Not a number is told by whoever knows what it should be. */
const number = (value: string) => (value.trim() === "" ? Number.NaN : Number(value));

const append = (value: string, before: readonly string[] = []) => [...before, value];

function contextOf(context: Context, { config, json = false, debug, logLevel }: Globals): CommandContext {
  const { stderr, env, composition } = context;
  const named = config ?? (env.MAILARK_CONFIG || undefined);
  const color = stderr.isTTY && !env.NO_COLOR;
  const level = debug ? "debug" : (logLevel ?? "warn");
  const reporter = reporterOf({ output: stderr, clock: composition.clock, json, color, level });
  return {
    ...context,
    composition: level === "debug" ? traced(composition, reporter) : composition,
    reporter,
    configPath: resolve(context.cwd, named ?? defaultConfigPath),
    configNamed: named !== undefined,
  };
}

async function tell({ stdout }: Context, json: boolean, { text, document, revoke }: Outcome): Promise<void> {
  try {
    await stdout.write(json ? `${JSON.stringify(document)}\n` : text);
  } catch (cause) {
    revoke?.();
    // A reader that stopped reading has what it wants.
    if (revoke === undefined && (cause as NodeJS.ErrnoException).code === "EPIPE") return;
    throw new MailarkError("FILE_FAILED", "the result could not be written to standard output", { cause });
  }
}

async function tellError(
  context: Context,
  error: MailarkError,
  { json, debug }: { json: boolean; debug: boolean },
): Promise<number> {
  const { stdout, stderr } = context;
  const [output, text] = json
    ? [withoutKeys(stdout), `${JSON.stringify({ exitCode: error.exitCode, error: errorDocument(error, { debug }) })}\n`]
    : [stderr, errorText(error, { debug })];
  // There is nobody left to tell; the exit status says it.
  await output.write(text).catch(() => {});
  return error.exitCode;
}

/** Commander's words in our form. */
function usageError({ code, message }: CommanderError, words: readonly string[]): MailarkError {
  const verb = words.find((word) => /^[a-z]+$/.test(word));
  if (code === "commander.help") {
    return new MailarkError("ARGUMENT_INVALID", "no command was given", { hint: "mailark --help lists the commands" });
  }
  const [first = "", ...more] = message.replace(/^error: /, "").split("\n");
  const meant = /\(Did you mean (.*)\?\)/.exec(more.join(" "))?.[1];
  return new MailarkError("ARGUMENT_INVALID", first, {
    hint: meant
      ? `did you mean ${meant}?`
      : verb && code !== "commander.unknownCommand"
        ? `mailark ${verb} --help`
        : "mailark --help lists the commands",
  });
}

/** Whoever puts a private key where it does not belong does not get it back in an error that is then logged. */
function withoutKeys(output: Output): Output {
  return {
    isTTY: output.isTTY,
    get columns() {
      return output.columns;
    },
    write: (text) => output.write(text.replace(/AGE-SECRET-KEY-[A-Z0-9]{16,}/gi, "AGE-SECRET-KEY-…")),
  };
}
