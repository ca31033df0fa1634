import { asMailarkError, exitCodes, MailarkError } from "../../core/errors.ts";
import { enrolmentKey } from "../../core/keys.ts";
import type { Signer } from "../../core/signed-document.ts";
import type { ObjectReader, ObjectWriter } from "../../core/stores/store.ts";
import { type BackupObserver, type BackupResult, backup as run } from "../backup.ts";
import type { Component, Estimate, World } from "../components/component.ts";
import { configuredNames, journalPath, lockPath, stateDirectory } from "../composition.ts";
import { type Config, readConfig, readSigner } from "../config.ts";
import { type Comparison, comparison } from "../consistency/comparison.ts";
import { lock } from "../lock.ts";
import { refuseDuringRestore } from "../restore/journal.ts";
import { sealingKeys } from "../sealing-keys.ts";
import { errorDocument, errorText } from "../terminal/error-text.ts";
import { durationText, ratioText, sizeText } from "../terminal/quantity.ts";
import { table } from "../terminal/table.ts";
import { componentsNamed } from "./arguments.ts";
import { type CommandContext, type Outcome, worldOf } from "./command.ts";
import { contentsText, storedBytes, warningsText } from "./contents.ts";
import { findingsText } from "./findings.ts";
import { warnOfFuture } from "./future.ts";
import { openStore } from "./open-store.ts";
import { reachable } from "./source.ts";

/** What is captured. */
export interface BackupOptions {
  readonly components: readonly string[];
  readonly dryRun?: boolean;
}

/** Captures the components of this host, all or those that are named, or says what it would read. */
export async function backup(context: CommandContext, options: BackupOptions): Promise<Outcome> {
  const { composition, reporter, signal } = context;
  const config = readConfig(composition.files, context.configPath);
  const components = wanted(context, config, options.components);
  await context.background?.(config.background, (message) => reporter.log("info", message));
  if (options.dryRun) return estimate(context, config, components);

  const { files } = composition;
  const signer = readSigner(files, config);
  const store = reachable(openStore(context, config.store, config), config.store);
  if ((await store.head(enrolmentKey(config.host.id, signer.keyId), { signal })) === undefined) throw strange(config);
  await warnOfFuture(
    context,
    store,
    config.host.id,
    components.map(({ name }) => name),
  );
  const release = lock(files, lockPath(config));
  try {
    refuseDuringRestore(files, journalPath(config));
    return await capture(context, config, components, store, signer);
  } finally {
    release();
    reporter.end();
  }
}

async function capture(
  context: CommandContext,
  config: Config,
  components: readonly Component[],
  store: ObjectWriter & Pick<ObjectReader, "head">,
  signer: Signer,
): Promise<Outcome> {
  const { composition, reporter, signal } = context;
  const { files, clock } = composition;
  const keys = sealingKeys({
    store,
    head: store.head,
    files,
    clock,
    signal,
    stateDirectory: stateDirectory(config, config.store),
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
  };
  const measured = new Map<string, { plain: number; stored: number }>();
  const observer: BackupObserver = {
    began: ({ name }) => {
      measured.set(name, { plain: 0, stored: 0 });
      reporter.begin(name);
    },
    sealed: ({ name }, { plain, stored }) => {
      const sum = measured.get(name)!;
      sum.plain += plain;
      sum.stored += stored;
      reporter.advance(plain);
    },
    ended: reporter.end,
  };
  const world = worldOf(context);
  const result = await run(components, destination, world, observer, comparisonOf(config, components, world));
  return report(config, result, measured);
}

/** What is compared with what, where the configuration says where accounts are. */
function comparisonOf(config: Config, components: readonly Component[], world: World): Comparison | undefined {
  const { accounts, components: configs, host } = config;
  if (accounts === undefined) return undefined;
  const names = components.map(({ name }) => name);
  return comparison({ accounts, components: configs, hostName: host.name }, names, world);
}

function wanted({ composition }: CommandContext, config: Config, words: readonly string[]): Component[] {
  const configured = configuredNames(config);
  return componentsNamed(words, configured).map((name) => {
    if (configured.includes(name)) return composition.component(name, config.components);
    throw new MailarkError("COMPONENT_UNKNOWN", `${name} is not configured on this host`, {
      hint: `add it below components in ${config.path}; there are ${configured.join(", ")}`,
    });
  });
}

/** An empty directory under a mount point looks like a store that lost everything; writing there would fill the wrong disk. */
const strange = (config: Config) =>
  new MailarkError("STORE_UNREACHABLE", "the store does not know this host", {
    detail: config.store,
    hint: "mount the disk that the store is on; for a store that is new, run `mailark enrol` first",
  });

type Measured = ReadonlyMap<string, { readonly plain: number; readonly stored: number }>;

function report(config: Config, { runId, outcomes, findings, exitCode }: BackupResult, measured: Measured): Outcome {
  const columns = [
    { title: "COMPONENT" },
    { title: "OUTCOME" },
    { title: "SNAPSHOT" },
    { title: "READ", right: true },
    { title: "STORED", right: true },
    { title: "RATIO", right: true },
    { title: "TIME", right: true },
    { title: "CONTENT" },
  ];
  const rows = outcomes.map(({ component, manifest, startedAt, finishedAt }) => {
    const plain = measured.get(component)?.plain ?? 0;
    const stored = manifest ? storedBytes(manifest) : 0;
    const time = durationText(finishedAt - startedAt);
    return manifest
      ? [
          component,
          manifest.completeness,
          manifest.snapshotId,
          sizeText(plain),
          sizeText(stored),
          ratioText(plain, stored),
          time,
          contentsText(manifest),
        ]
      : [component, "failed", "none", sizeText(plain), "", "", time, ""];
  });
  const notes = outcomes.flatMap(({ component, manifest, error }) => {
    if (error) return [`\n${component}: ${errorText(error)}`];
    const warnings = warningsText(manifest);
    return warnings === "" ? [] : [`\n${component}: ${warnings}\n`];
  });
  const stored = outcomes.some(({ manifest }) => manifest);
  const next = stored ? `\nStored at ${config.store}; check it with: mailark verify\n` : "\nNothing was stored.\n";
  return {
    exitCode,
    text: table(columns, rows) + notes.join("") + findingsText(findings ?? []) + next,
    document: {
      command: "backup",
      hostId: config.host.id,
      store: config.store,
      runId,
      exitCode,
      components: outcomes.map(({ component, manifest, error, startedAt, finishedAt }) => ({
        component,
        outcome: manifest?.completeness ?? "failed",
        snapshotId: manifest?.snapshotId,
        startedAt: new Date(startedAt).toISOString(),
        cutAt: manifest?.cutAt,
        finishedAt: new Date(finishedAt).toISOString(),
        bytesRead: measured.get(component)?.plain ?? 0,
        bytesStored: manifest ? storedBytes(manifest) : 0,
        facts: manifest?.facts,
        warnings: manifest?.warnings,
        error: error && errorDocument(error),
      })),
      warnings: findings?.map(({ code, names }) => ({ code, count: names.length, names })),
    },
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
