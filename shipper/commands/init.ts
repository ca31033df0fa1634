import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { generateIdentity, keyIdOf } from "../../core/age/age.ts";
import { breakGlassVersion } from "../../core/break-glass.ts";
import { exitCodes, MailarkError } from "../../core/errors.ts";
import { type ComponentName, componentNames } from "../../core/keys.ts";
import type { Files } from "../../core/ports/files.ts";
import { generateSigningKey, type Signer, signerOf } from "../../core/signed-document.ts";
import { probeStore, type StoreProbe } from "../../core/stores/probe.ts";
import { type Approval, approvalOf, approvalText } from "../approval.ts";
import type { World } from "../components/component.ts";
import { configSchema, defaultStateDirectory, refuseUnlessPrivate } from "../config.ts";
import { configTemplate } from "../config-template.ts";
import { parseYaml } from "../config-text.ts";
import type { AccountsConfig } from "../consistency/config.ts";
import { proposeAccounts } from "../consistency/proposal.ts";
import { enrol } from "../enrol.ts";
import { breakGlassCommands, type RecoverySheet, recoverySheet, restoreCommands } from "../recovery-sheet.ts";
import { readText, writeDurably } from "../state-files.ts";
import { placeOf, storeIdentity } from "../store-url.ts";
import type { Found } from "../survey/found.ts";
import { type Survey, survey, type Told } from "../survey/survey.ts";
import { printable } from "../terminal/printable.ts";
import { shellWord } from "../terminal/shell-word.ts";
import { componentsNamed } from "./arguments.ts";
import { type CommandContext, type Outcome, worldOf } from "./command.ts";
import { openStore } from "./open-store.ts";

/** What the operator says of the host; the rest is looked for. Paths are relative to the working directory. */
export interface InitOptions {
  /** The more important first. */
  readonly store?: readonly string[];
  readonly mailRoot?: string;
  readonly mysqlSocket?: string;
  readonly mysqlDefaultsFile?: string;
  /** Only these are looked for and written. */
  readonly component?: readonly string[];
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
  const stores = options.store ?? [defaultStore];
  for (const store of stores) placeOf(store);
  const path = (given: string | undefined) => (given === undefined ? undefined : resolve(context.cwd, given));
  const mailRoot = path(options.mailRoot);
  if (mailRoot !== undefined && !files.statSync(mailRoot, { throwIfNoEntry: false })?.isDirectory()) {
    throw new MailarkError("ARGUMENT_INVALID", "there is no directory at the given mail root", { detail: mailRoot });
  }
  const told = { mailRoot, mysqlSocket: path(options.mysqlSocket), mysqlDefaultsFile: path(options.mysqlDefaultsFile) };
  const names = componentsNamed(options.component ?? []);
  refuseStrayPlaces(names, told);
  const hostId = await newHostId(context, stores);
  const world = worldOf(context);
  const found = await survey(names, told, world);
  const components = componentNames.filter((each) => isActive(found.components.get(each)));
  if (components.length === 0) throw nothingFound(names, found);

  const made = options.recoveryRecipient === undefined ? generateIdentity() : undefined;
  const recoveryRecipient = made?.recipient ?? options.recoveryRecipient!;
  const name = options.name ?? hostname();
  const createdAt = new Date(clock.now()).toISOString();
  const text = configTemplate({
    hostId,
    name,
    stores,
    recovery: recoveryRecipient,
    drill: options.drillRecipient,
    state: path(options.state) ?? defaultStateDirectory,
    ...found,
    accounts: await accountsOf(found, world),
  });
  parseYaml(text, configPath, configSchema);

  signal.throwIfAborted();
  const signingKey = join(dirname(configPath), "signing.pem");
  const signer = makeSigner(files, signingKey);
  const introduction = { hostId, name, createdAt, recoveryRecipient, drillRecipient: options.drillRecipient };
  const probes: (StoreProbe & { readonly store: string })[] = [];
  for (const store of stores) {
    const place = openStore(context, store, undefined);
    // A directory is what it is; a bucket is what its provider and the credentials make of it.
    if (placeOf(store).s3) {
      const probe = await probeStore(
        { ...composition.openStore(store), ...composition.openEraser(store), ...composition.openReplacer(store) },
        hostId,
        signal,
      );
      probes.push({ store: storeIdentity(store), ...probe });
    }
    await enrol(place, signer, introduction, signal);
  }
  const { fingerprint } = signer;
  const sheet = {
    hostId,
    name,
    store: stores[0]!,
    otherStores: stores.slice(1),
    recoveryRecipient,
    recoveryKey: made?.identity,
    fingerprint,
    createdAt,
    components,
  };
  const approval = approvalOf(stores, sheet);
  const breakGlass = breakGlassVersion(composition.breakGlass());
  refuseWhereConfigured(files, configPath);
  writeDurably(files, configPath, text);
  return {
    exitCode: exitCodes.ok,
    text: textOf(context, names, found, sheet, breakGlass, probes, approval),
    document: {
      command: "init",
      exitCode: exitCodes.ok,
      config: configPath,
      signingKey,
      ...sheet,
      restore: restoreCommands(sheet),
      breakGlass: breakGlassCommands(sheet, breakGlass),
      probes,
      approval,
      notCaptured: inactive(found),
    },
    // Without its sheet the host would back up for nobody.
    revoke: () => files.unlinkSync(configPath),
  };
}

/** A store in AWS may know this host already, by the credentials that it has; elsewhere an id is made up. */
async function newHostId({ composition, signal }: CommandContext, stores: readonly string[]): Promise<string> {
  const knowing = stores.map((store) => placeOf(store).s3).find((place) => place?.hostId === "sts");
  return knowing ? composition.callerId(knowing.region, signal) : `h-${randomBytes(10).toString("hex")}`;
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

const isActive = (found: Found | undefined) => found !== undefined && found.lacks === undefined;

/** What is there, and can not be captured as it is: why, for people. */
const inactive = ({ components }: Survey): string[] =>
  [...components].flatMap(([name, { from, lacks }]) => (lacks === undefined ? [] : [`${name}: ${from}: ${lacks}`]));

/** A place that was named and would not be captured is a misunderstanding. */
function refuseStrayPlaces(names: readonly ComponentName[], told: Told): void {
  const stray = [
    ...(told.mailRoot !== undefined && !names.includes("mail") ? ["--mail-root"] : []),
    ...(told.mysqlSocket !== undefined && !names.includes("mysql") ? ["--mysql-socket"] : []),
    ...(told.mysqlDefaultsFile !== undefined && !names.includes("mysql") ? ["--mysql-defaults-file"] : []),
  ];
  if (stray.length === 0) return;
  throw new MailarkError("ARGUMENT_INVALID", `${stray.join(" and ")} names what --component leaves out`, {
    hint: "name its component with --component too, or leave the option out",
  });
}

function nothingFound(names: readonly ComponentName[], found: Survey): MailarkError {
  return new MailarkError("ARGUMENT_INVALID", "nothing that can be backed up was found on this host", {
    detail: [`looked for ${names.join(", ")}`, ...inactive(found)].join("\n"),
    hint: "say where it is: --mail-root DIR, --mysql-socket FILE or --mysql-defaults-file FILE",
  });
}

async function accountsOf({ components }: Survey, world: World): Promise<AccountsConfig | undefined> {
  const mysql = components.get("mysql")?.section;
  if (mysql === undefined) return undefined;
  const { socket, "defaults-file": defaultsFile } = mysql as Record<string, string | undefined>;
  return proposeAccounts({ ...(socket && { socket }), ...(defaultsFile && { defaultsFile }) }, world);
}

function textOf(
  { configPath, configNamed }: CommandContext,
  names: readonly ComponentName[],
  found: Survey,
  sheet: RecoverySheet,
  breakGlass: string,
  probes: readonly (StoreProbe & { readonly store: string })[],
  approval: Approval | undefined,
): string {
  const config = configNamed ? ` --config ${shellWord(configPath)}` : "";
  const open = inactive(found);
  const absent = names.filter((name) => !found.components.has(name));
  const lines = [
    `Wrote ${configPath}: look through it. It captures`,
    ...sheet.components.map((name) => `  ${name}: ${found.components.get(name as ComponentName)?.from}`),
    ...(open.length === 0 ? [] : ["Found, and not active in it yet:", ...open.map((each) => `  ${each}`)]),
    ...(absent.length === 0
      ? []
      : [`Not found: ${absent.join(", ")}. What this host has of these, add it below components.`]),
  ];
  for (const { store, findings, guarantee } of probes) {
    const can = findings.map(({ question, answer }) => `${question}: ${answer ? "yes" : "no"}`);
    lines.push(`${store} ${can.join(", ")}.`, ...guarantee.map((sentence) => `  ${sentence}`));
  }
  const next = `${approval ? `${approvalText(approval)}\n` : ""}Next: mailark backup${config}\n`;
  return `${lines.map((line) => `${printable(line)}\n`).join("")}\n${recoverySheet(sheet, breakGlass)}\n${next}`;
}
