import { asMailarkError, exitCodes, MailarkError } from "../../core/errors.ts";
import { storedBytes } from "../../core/manifest.ts";
import { type Signer, verifierOf } from "../../core/signed-document.ts";
import { type BackupObserver, type BackupResult, backup as run } from "../backup.ts";
import type { Component, Estimate, World } from "../components/component.ts";
import { backlogPath, configuredNames, journalPath, lockPath, sizesPath } from "../composition.ts";
import { type Config, readConfig, readSigner } from "../config.ts";
import { type Comparison, comparison } from "../consistency/comparison.ts";
import { lock } from "../lock.ts";
import { type BackupRequest, readRequest } from "../request.ts";
import { refuseDuringRestore } from "../restore/journal.ts";
import { sealingKeys } from "../sealing-keys.ts";
import { openBacklog } from "../stores/backlog.ts";
import { breakGlassFaults } from "../stores/break-glass-faults.ts";
import { catchUp } from "../stores/catch-up.ts";
import { keyPlaces } from "../stores/key-places.ts";
import { rememberSizes } from "../stores/last-sizes.ts";
import { notingWriter } from "../stores/noting-writer.ts";
import { errorDocument, errorText } from "../terminal/error-text.ts";
import { sizeText } from "../terminal/quantity.ts";
import { table } from "../terminal/table.ts";
import { componentsNamed } from "./arguments.ts";
import { backupReport } from "./backup-report.ts";
import { type CommandContext, type Outcome, worldOf } from "./command.ts";
import { warnOfFuture } from "./future.ts";
import { openRunStores, type RunStores } from "./run-stores.ts";
import { requestsTo, storeOutcomes } from "./stores-report.ts";

/** What is captured. */
export interface BackupOptions {
  readonly components: readonly string[];
  /** Those of them that this host does not have are passed over. */
  readonly configured?: boolean;
  readonly dryRun?: boolean;
}

/** Captures the components of this host, all or those that are named, or says what it would read. */
export async function backup(context: CommandContext, options: BackupOptions): Promise<Outcome> {
  const { composition, reporter } = context;
  const config = readConfig(composition.files, context.configPath);
  const components = wanted(context, config, options);
  const request = readRequest(context.env);
  if (components.length === 0) return nothingToDo(config, options.components);
  await context.background?.(config.background, (message) => reporter.log("info", message));
  if (options.dryRun) return estimate(context, config, components);

  const { files } = composition;
  const signer = readSigner(files, config);
  const release = lock(files, lockPath(config));
  try {
    refuseDuringRestore(files, journalPath(config));
    const names = components.map(({ name }) => name);
    const stores = await openRunStores(context, config, signer, names);
    const [first] = stores.stores.filter(({ name }) => stores.all.within().includes(name));
    await warnOfFuture(context, first!.store, config.host.id, names);
    return await capture(context, config, components, stores, signer, request);
  } finally {
    release();
    reporter.end();
  }
}

async function capture(
  context: CommandContext,
  config: Config,
  components: readonly Component[],
  { stores, all }: RunStores,
  signer: Signer,
  request: BackupRequest,
): Promise<Outcome> {
  const { composition, reporter, signal } = context;
  const { files, clock } = composition;
  const names = stores.map(({ name }) => name);
  const backlog = names.length > 1 ? openBacklog(files, backlogPath(config), names) : undefined;
  const store = backlog ? notingWriter(all, backlog) : all;
  const keys = sealingKeys({
    store,
    places: () => keyPlaces(stores, all, signal),
    files,
    clock,
    signal,
    hostId: config.host.id,
    recoveryRecipient: config.recovery,
    drillRecipient: config.drill,
  });
  const destination = {
    store,
    hostId: config.host.id,
    signer,
    keys,
    breakGlass: composition.breakGlass(),
    level: config.compressionLevel,
    ...(backlog && { stores: () => storeOutcomes(names, all) }),
  };
  const observer: BackupObserver = {
    began: ({ name }) => reporter.begin(name),
    sealed: (_, { plain }) => reporter.advance(plain),
    ended: reporter.end,
  };
  const world = worldOf(context);
  const comparison = comparisonOf(config, components, world);
  const result = await run(components, destination, world, { observer, comparison, request });
  keepSizes(context, config, result);
  // After this run's snapshots, which matter more than those of before.
  const caughtUp = backlog
    ? await catchUp({
        ...{ stores, all, backlog, signal },
        hostId: config.host.id,
        own: verifierOf(signer.publicKey),
        stored: result.outcomes.flatMap(({ component, manifest }) => (manifest ? [component] : [])),
        configured: configuredNames(config),
        began: (name) => reporter.begin(`copying to ${name}`),
        read: reporter.advance,
      })
    : [];
  const within = stores.filter(({ name }) => all.within().includes(name));
  const faults = await breakGlassFaults(within, config.host.id, destination.breakGlass, signal);
  return backupReport(config, result, request, { names, all, caughtUp, faults, requests: requestsTo(stores) });
}

/** The snapshots are stored: what is not remembered of them is no failure. */
function keepSizes({ composition, reporter }: CommandContext, config: Config, { outcomes }: BackupResult): void {
  const stored = outcomes.flatMap(({ component, manifest }) => (manifest ? [[component, storedBytes(manifest)]] : []));
  try {
    rememberSizes(composition.files, sizesPath(config), Object.fromEntries(stored));
  } catch (thrown) {
    const { message, detail } = asMailarkError(thrown);
    reporter.warn(`the next backup will not know whether it fits: ${message}`, detail);
  }
}

/** What is compared with what, where the configuration says where accounts are. */
function comparisonOf(config: Config, components: readonly Component[], world: World): Comparison | undefined {
  const { accounts, components: configs, host } = config;
  if (accounts === undefined) return undefined;
  const names = components.map(({ name }) => name);
  return comparison({ accounts, components: configs, hostName: host.name }, names, world);
}

function wanted(
  { composition }: CommandContext,
  config: Config,
  { components, configured: few = false }: BackupOptions,
): Component[] {
  const configured = configuredNames(config);
  return componentsNamed(components, configured).flatMap((name) => {
    if (configured.includes(name)) return composition.component(name, config.components);
    if (few) return [];
    throw new MailarkError("COMPONENT_UNKNOWN", `${name} is not configured on this host`, {
      hint: `add it below components in ${config.path}; there are ${configured.join(", ")}`,
    });
  });
}

function nothingToDo({ host }: Config, words: readonly string[]): Outcome {
  const { ok: exitCode } = exitCodes;
  return {
    exitCode,
    text: `This host has none of ${words.join(", ")} configured: nothing was captured.\n`,
    document: { command: "backup", hostId: host.id, exitCode, components: [] },
  };
}

async function estimate(context: CommandContext, config: Config, components: readonly Component[]): Promise<Outcome> {
  const { reporter, signal } = context;
  const estimates: { component: string; items: readonly Estimate[]; error?: MailarkError }[] = [];
  for (const component of components) {
    signal.throwIfAborted();
    reporter.begin(component.name);
    try {
      estimates.push({ component: component.name, items: await component.estimate(worldOf(context)) });
    } catch (thrown) {
      signal.throwIfAborted();
      estimates.push({ component: component.name, items: [], error: asMailarkError(thrown) });
    } finally {
      reporter.end();
    }
  }
  const rows = estimates.flatMap(({ component, items }) => [
    ...items.map(({ what, bytes }) => [component, sizeText(bytes), what]),
    [component, sizeText(sum(items)), "in all"],
  ]);
  const failed = estimates.flatMap(({ component, error }) => (error ? [{ component, error }] : []));
  const columns = [{ title: "COMPONENT" }, { title: "SIZE", right: true }, { title: "WHAT" }];
  const exitCode =
    failed.length === 0
      ? exitCodes.ok
      : failed.length < estimates.length
        ? exitCodes.partial
        : failed[0]!.error.exitCode;
  return {
    exitCode,
    text:
      table(columns, rows) +
      failed.map(({ component, error }) => `\n${component}: ${errorText(error)}`).join("") +
      "\nNothing was stored: this was a dry run.\n",
    document: {
      command: "backup",
      dryRun: true,
      hostId: config.host.id,
      exitCode,
      components: estimates.map(({ component, items, error }) => ({
        component,
        bytes: sum(items),
        items,
        error: error && errorDocument(error),
      })),
    },
  };
}

const sum = (items: readonly Estimate[]) => items.reduce((total, { bytes }) => total + bytes, 0);
