import { type CatalogEntry, listSnapshots } from "../../core/catalog.ts";
import { exitCodes, MailarkError } from "../../core/errors.ts";
import { Keyring } from "../../core/keyring.ts";
import { type ComponentName, componentNames, patterns } from "../../core/keys.ts";
import { type Manifest, storedBytes } from "../../core/manifest.ts";
import { SnapshotReader } from "../../core/snapshot-reader.ts";
import type { Finding } from "../../core/verification.ts";
import { type VerifiedSnapshot, verifyHost } from "../../core/verify-host.ts";
import { examine } from "../examine.ts";
import { printable } from "../terminal/printable.ts";
import { countOf, durationText, sizeText } from "../terminal/quantity.ts";
import { shellWord } from "../terminal/shell-word.ts";
import { table } from "../terminal/table.ts";
import { componentsNamed } from "./arguments.ts";
import { type CommandContext, type Outcome, worldOf } from "./command.ts";
import { readIdentities } from "./identity.ts";
import { openSource, type Source, type SourceOptions, warnUnlessPinned } from "./source.ts";

/** What is verified, and how deep. */
export interface VerifyOptions extends SourceOptions {
  /** Names of components and ids of snapshots, mixed. */
  readonly what: readonly string[];
  /** Decrypts everything as well. */
  readonly deep?: boolean;
  readonly identity?: string;
}

/**
 * Compares what the store holds with what the host signed, and reports every difference. Nothing to verify is a finding too: an
 * empty store is what a lost one looks like.
 */
export async function verify(context: CommandContext, options: VerifyOptions): Promise<Outcome> {
  const { reporter, composition } = context;
  const { components, ids } = splitWords(options.what);
  const identities = options.deep ? await readIdentities(context, options.identity) : undefined;
  const startedAt = composition.clock.now();
  const source = await openSource(context, options);
  warnUnlessPinned(context, source);
  // On the host itself; elsewhere nobody waits for the disk.
  if (source.config?.host.id === source.hostId) {
    await context.background?.(source.config.background, (message) => reporter.log("info", message));
  }
  const entries = await entriesOf(context, source, components, ids);
  const keyring = identities && new Keyring(source.reader, source.hostId, identities);
  const total = entries.reduce((sum, { manifest }) => sum + (manifest ? storedBytes(manifest) : 0), 0);
  reporter.begin(options.deep ? "reading and decrypting" : "reading", options.deep ? total * 2 : total);
  try {
    const { snapshots, others, runs } = await verifyHost(source.reader, source.hostId, source.trust, {
      signal: context.signal,
      read: reporter.advance,
      judging: ({ address }) => reporter.doing(`${address.component} ${address.snapshotId}`),
      ...(keyring && { examine: (manifest) => decrypt(manifest, keyring) }),
      // What a run stored can be missed only where everything is looked at.
      ...(options.what.length > 0 && { entries }),
    });
    return report(context, source, snapshots, others, {
      deep: options.deep === true,
      runs: runs.length,
      milliseconds: composition.clock.now() - startedAt,
    });
  } finally {
    reporter.end();
  }

  async function decrypt(manifest: Manifest, opened: Keyring): Promise<readonly Finding[]> {
    const reader = new SnapshotReader(manifest, source.reader, opened, context.signal);
    const component = composition.component(manifest.component, source.config?.components);
    return examine(component, reader, worldOf(context));
  }
}

function splitWords(words: readonly string[]) {
  const ids = new Set(words.filter((word) => patterns.snapshotId.test(word)));
  const named = words.filter((word) => !ids.has(word));
  return { ids, components: ids.size > 0 && named.length === 0 ? [...componentNames] : componentsNamed(named) };
}

async function entriesOf(
  { signal }: CommandContext,
  { reader, hostId, trusted }: Source,
  components: readonly ComponentName[],
  ids: ReadonlySet<string>,
): Promise<CatalogEntry[]> {
  const entries: CatalogEntry[] = [];
  for await (const entry of listSnapshots(reader, hostId, trusted, components)) {
    signal.throwIfAborted();
    if (ids.size === 0 || ids.has(entry.address.snapshotId)) entries.push(entry);
  }
  const found = new Set(entries.map(({ address }) => address.snapshotId));
  const missing = [...ids].filter((id) => !found.has(id));
  if (missing.length === 0) return entries;
  throw new MailarkError("SNAPSHOT_UNKNOWN", `there is no snapshot ${missing.join(" and no ")} of this host`, {
    hint: "`mailark list` shows what the store holds",
  });
}

function report(
  { configNamed, configPath }: CommandContext,
  source: Source,
  snapshots: readonly VerifiedSnapshot[],
  others: readonly Finding[],
  { deep, runs, milliseconds }: { deep: boolean; runs: number; milliseconds: number },
): Outcome {
  const verified = snapshots.map(({ entry: { address, manifest }, findings }) => ({
    component: address.component,
    snapshotId: address.snapshotId,
    bytes: manifest ? storedBytes(manifest) : 0,
    findings,
  }));
  const findings = [...verified.flatMap((snapshot) => snapshot.findings), ...others];
  const nothing = verified.length === 0;
  const exitCode = findings.length > 0 || nothing ? exitCodes.verification : exitCodes.ok;
  const columns = [
    { title: "COMPONENT" },
    { title: "SNAPSHOT" },
    { title: "STORED", right: true },
    { title: "RESULT" },
  ];
  const rows = verified.map(({ component, snapshotId, bytes, findings }) => [
    component,
    snapshotId,
    sizeText(bytes),
    findings.length === 0 ? "intact" : countOf(findings.length, "finding"),
  ]);
  const lines = [
    ...verified.flatMap(({ component, snapshotId, findings }) =>
      findings.map((finding) => `${component} ${snapshotId}: ${findingText(finding)}`),
    ),
    ...others.map((finding) => `store: ${findingText(finding)}`),
  ];
  const bytes = verified.reduce((sum, snapshot) => sum + snapshot.bytes, 0);
  const what = `${countOf(verified.length, "snapshot")}, ${sizeText(bytes)}, ${countOf(runs, "run")}`;
  const config = configNamed && source.config ? ` --config ${shellWord(configPath)}` : "";
  const verdict =
    nothing && findings.length === 0
      ? `Nothing to verify: host ${source.hostId} has no snapshot of that in ${source.url}.\nTry: mailark backup${config}\n`
      : exitCode === exitCodes.ok
        ? `Intact: ${what}, in ${durationText(milliseconds)}.${deep ? " Everything was decrypted and compared." : ""}\n`
        : `${countOf(findings.length, "finding")}: ${what}. Keep the store as it is; a snapshot marked intact can be restored.\n`;
  return {
    exitCode,
    text: [
      nothing ? "" : `${table(columns, rows)}\n`,
      ...lines.map((line) => `${printable(line)}\n`),
      lines.length > 0 ? "\n" : "",
      verdict,
    ].join(""),
    document: {
      command: "verify",
      hostId: source.hostId,
      store: source.url,
      pinned: source.pinned,
      deep,
      exitCode,
      runs,
      snapshots: verified,
      findings: others,
    },
  };
}

const findingText = ({ code, message, key }: Finding) => `${code}: ${message}: ${key}`;
