import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { generateIdentity, keyIdOf } from "../../core/age/age.ts";
import { breakGlassVersion } from "../../core/break-glass.ts";
import { exitCodes, MailarkError } from "../../core/errors.ts";
import type { Files } from "../../core/ports/files.ts";
import { generateSigningKey, type Signer, signerOf } from "../../core/signed-document.ts";
import { configSchema, defaultStateDirectory, refuseUnlessPrivate } from "../config.ts";
import { configTemplate } from "../config-template.ts";
import { parseYaml } from "../config-text.ts";
import { proposeAccounts } from "../consistency/proposal.ts";
import { enrol } from "../enrol.ts";
import { breakGlassCommands, type RecoverySheet, recoverySheet, restoreCommands } from "../recovery-sheet.ts";
import { readText, writeDurably } from "../state-files.ts";
import { directoryOf } from "../store-url.ts";
import { type Survey, survey } from "../survey.ts";
import { printable } from "../terminal/printable.ts";
import { type CommandContext, type Outcome, worldOf } from "./command.ts";

/** What the operator says of the host; the rest is looked for. Paths are relative to the working directory. */
export interface InitOptions {
  readonly store?: string;
  readonly mailRoot?: string;
  readonly mysqlSocket?: string;
  readonly mysqlDefaultsFile?: string;
  readonly name?: string;
  readonly state?: string;
  /** A public key: its private half is not made here, and not shown. */
  readonly recoveryRecipient?: string;
  readonly drillRecipient?: string;
  /** The recovery key may be written to something that is not a terminal. */
  readonly yes?: boolean;
}

const defaultStore = "file:///var/backups/mailark";

/**
 * Prepares this host: looks at it, writes a configuration and a signing key, introduces the host to the store, and gives the recovery
 * sheet. The configuration is written last, so an interrupted `init` can simply be run again.
 */
export async function init(context: CommandContext, options: InitOptions): Promise<Outcome> {
  const { composition, configPath, signal } = context;
  const { files, clock } = composition;
  refuseWhereConfigured(files, configPath);
  refuseToSpillTheKey(context, options);
  for (const recipient of [options.recoveryRecipient, options.drillRecipient]) {
    if (recipient !== undefined) keyIdOf(recipient);
  }
  const store = options.store ?? defaultStore;
  directoryOf(store);
  const path = (given: string | undefined) => (given === undefined ? undefined : resolve(context.cwd, given));
  const mailRoot = path(options.mailRoot);
  if (mailRoot !== undefined && !files.statSync(mailRoot, { throwIfNoEntry: false })?.isDirectory()) {
    throw new MailarkError("ARGUMENT_INVALID", "there is no directory at the given mail root", { detail: mailRoot });
  }
  const found = await survey({ files, processes: composition.processes, signal, mailRoot });
  const mysqlDefaultsFile = path(options.mysqlDefaultsFile);
  // An option file names its server; a socket that was found beside it may be another's.
  const mysqlSocket = path(options.mysqlSocket) ?? (mysqlDefaultsFile === undefined ? found.mysqlSocket : undefined);
  const mysql =
    mysqlSocket === undefined && mysqlDefaultsFile === undefined
      ? undefined
      : { socket: mysqlSocket, defaultsFile: mysqlDefaultsFile };
  if (found.mail === undefined && mysql === undefined) {
    throw new MailarkError("ARGUMENT_INVALID", "neither mailboxes nor a database were found on this host", {
      hint: "say where they are: --mail-root DIR, --mysql-socket FILE or --mysql-defaults-file FILE",
    });
  }

  const made = options.recoveryRecipient === undefined ? generateIdentity() : undefined;
  const recoveryRecipient = made?.recipient ?? options.recoveryRecipient!;
  const hostId = `h-${randomBytes(10).toString("hex")}`;
  const name = options.name ?? hostname();
  const createdAt = new Date(clock.now()).toISOString();
  const text = configTemplate({
    hostId,
    name,
    store,
    recovery: recoveryRecipient,
    drill: options.drillRecipient,
    state: path(options.state) ?? defaultStateDirectory,
    configs: found.configs,
    mail: found.mail,
    mysql,
    accounts: mysql && (await proposeAccounts(mysql, worldOf(context))),
  });
  parseYaml(text, configPath, configSchema);

  signal.throwIfAborted();
  const signingKey = join(dirname(configPath), "signing.pem");
  const signer = makeSigner(files, signingKey);
  const introduction = { hostId, name, createdAt, recoveryRecipient, drillRecipient: options.drillRecipient };
  await enrol(composition.openStore(store), signer, introduction, signal);
  const components = [...(mysql ? ["mysql"] : []), ...(found.mail ? ["mail"] : [])];
  const { fingerprint } = signer;
  const sheet = {
    hostId,
    name,
    store,
    recoveryRecipient,
    recoveryKey: made?.identity,
    fingerprint,
    createdAt,
    components,
  };
  const breakGlass = breakGlassVersion(composition.breakGlass());
  refuseWhereConfigured(files, configPath);
  writeDurably(files, configPath, text);
  return {
    exitCode: exitCodes.ok,
    text: textOf(context, found, mysql?.socket, sheet, breakGlass),
    document: {
      command: "init",
      exitCode: exitCodes.ok,
      config: configPath,
      signingKey,
      ...sheet,
      restore: restoreCommands(sheet),
      breakGlass: breakGlassCommands(sheet, breakGlass),
      notCaptured: found.others,
    },
    // Without its sheet the host would back up for nobody.
    revoke: () => files.unlinkSync(configPath),
  };
}

function refuseWhereConfigured(files: Files, path: string): void {
  if (files.lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  throw new MailarkError("OBJECT_EXISTS", "this host is configured already", {
    detail: path,
    hint: "go on with `mailark backup`; to begin anew, move that file away: what was stored stays readable with its old recovery key",
  });
}

/** Where output goes to a file or a log, a private key must not follow it there unasked. */
function refuseToSpillTheKey({ stdout }: CommandContext, { yes, recoveryRecipient }: InitOptions): void {
  if (stdout.isTTY || yes || recoveryRecipient !== undefined) return;
  throw new MailarkError("ARGUMENT_INVALID", "the recovery key would be written to something that is not a terminal", {
    hint: "run init in a terminal, bring your own key with --recovery-recipient age1…, or say --yes if the output is safe",
  });
}

/** A key that an interrupted `init` left is as good as a new one. */
function makeSigner(files: Files, path: string): Signer {
  refuseUnlessPrivate(files, path, "the signing key");
  const left = readText(files, path);
  if (left !== undefined) return signerOf(left);
  const pem = generateSigningKey();
  writeDurably(files, path, pem);
  return signerOf(pem);
}

function textOf(
  { configPath, configNamed }: CommandContext,
  { mail, others }: Survey,
  mysqlSocket: string | undefined,
  sheet: RecoverySheet,
  breakGlass: string,
): string {
  const config = configNamed ? ` --config ${configPath}` : "";
  const lines = [
    `Wrote ${configPath}: look through it.`,
    ...(mail
      ? [
          `Mail is at ${mail.root} (${mail.from}), mailboxes as ${mail.layout ?? "{domain}/{user}, which is a guess: check it"}.`,
        ]
      : []),
    ...(mysqlSocket === undefined ? [] : [`The database is at ${mysqlSocket}.`]),
    ...(others.length === 0
      ? []
      : ["Found, and not in the configuration yet: add it below components.", ...others.map((other) => `  ${other}`)]),
  ];
  const next = `Next: mailark backup${config}\n`;
  return `${lines.map((line) => `${printable(line)}\n`).join("")}\n${recoverySheet(sheet, breakGlass)}\n${next}`;
}
