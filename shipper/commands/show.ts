import { findSnapshot } from "../../core/catalog.ts";
import { exitCodes, MailarkError } from "../../core/errors.ts";
import { type ComponentName, componentNames, componentPrefix, manifestKey, patterns } from "../../core/keys.ts";
import { type Manifest, storedBytes } from "../../core/manifest.ts";
import { SnapshotReader } from "../../core/snapshot-reader.ts";
import type { PlannedItem } from "../components/component.ts";
import { countOf, countText, durationText, sizeText, timeText } from "../terminal/quantity.ts";
import { facts, table } from "../terminal/table.ts";
import { componentsNamed, momentOf } from "./arguments.ts";
import type { CommandContext, Outcome } from "./command.ts";
import { warningsText, wordsOf } from "./contents.ts";
import { openKeyring, readIdentities } from "./identity.ts";
import { openSource, type Source, type SourceOptions, warnUnlessPinned } from "./source.ts";

/** What is shown. */
export interface ShowOptions extends SourceOptions {
  /** `latest`, an id, or a time. */
  readonly snapshot: string;
  readonly component?: string;
  /** With it, what only the recovery key can read is shown as well. */
  readonly identity?: string;
}

interface Shown {
  readonly manifest: Manifest;
  readonly items: readonly PlannedItem[] | undefined;
}

/** What a manifest says and, with the recovery key, what the snapshot holds by name. */
export async function show(context: CommandContext, options: ShowOptions): Promise<Outcome> {
  const moment = momentOf(options.snapshot);
  const named = options.component === undefined ? componentNames : componentsNamed([options.component]);
  const identities = options.identity === undefined ? undefined : await readIdentities(context, options.identity);
  const source = await openSource(context, options);
  warnUnlessPinned(context, source);
  const shown: Shown[] = [];
  for (const component of await holding(source, named, options.snapshot)) {
    context.signal.throwIfAborted();
    const { manifest, passedOver } = await findSnapshot(
      source.reader,
      source.hostId,
      component,
      moment,
      source.trusted,
    );
    for (const { address, error } of passedOver) {
      context.reporter.warn(`snapshot ${address.snapshotId} of ${component} was passed over: ${error?.message}`);
    }
    let items: readonly PlannedItem[] | undefined;
    if (identities) {
      const keyring = await openKeyring(source.reader, manifest, identities);
      const reader = new SnapshotReader(manifest, source.reader, keyring, context.signal);
      items = await context.composition.component(component, source.config?.components).plan(reader, {});
    }
    shown.push({ manifest, items });
  }
  return {
    exitCode: exitCodes.ok,
    text: shown.map(textOf).join("\n"),
    document: {
      command: "show",
      hostId: source.hostId,
      store: source.url,
      pinned: source.pinned,
      exitCode: exitCodes.ok,
      snapshots: shown.map(({ manifest, items }) => ({ manifest, content: items })),
    },
  };
}

/** The components that have such a snapshot at all. */
async function holding(
  { reader, hostId }: Source,
  named: readonly ComponentName[],
  snapshot: string,
): Promise<ComponentName[]> {
  const found: ComponentName[] = [];
  for (const component of named) {
    if (patterns.snapshotId.test(snapshot)) {
      if (await reader.head(manifestKey({ hostId, component, snapshotId: snapshot }))) found.push(component);
      continue;
    }
    for await (const row of reader.list(componentPrefix(hostId, component), { delimiter: "/" })) {
      if (!("prefix" in row)) continue;
      found.push(component);
      break;
    }
  }
  if (found.length > 0) return found;
  const what = named.length === 1 ? ` of ${named[0]}` : "";
  throw new MailarkError("SNAPSHOT_UNKNOWN", `host ${hostId} has no snapshot ${snapshot}${what} in this store`, {
    hint: "`mailark list` shows what the store holds",
  });
}

function textOf({ manifest, items }: Shown): string {
  const { component, snapshotId, kind, completeness, base, startedAt, cutAt, finishedAt, server, position } = manifest;
  const tools = Object.entries(manifest.tools).map(([name, version]) => `${name} ${version}`);
  const rows: [string, string | undefined][] = [
    ["snapshot", snapshotId],
    ["component", component],
    ["host", manifest.hostId],
    ["run", manifest.runId],
    ["kind", base === undefined ? kind : `${kind}, on ${base}`],
    ["completeness", completeness],
    ["warnings", warningsText(manifest) || undefined],
    ["content of", timeText(cutAt)],
    ["captured in", durationText(Date.parse(finishedAt) - Date.parse(startedAt))],
    ["stored", `${sizeText(storedBytes(manifest))} in ${countOf(manifest.packs.length, "pack")}`],
    ["server", server && `${server.flavour} ${server.version}`],
    [
      "position",
      position &&
        Object.entries(position)
          .map(([name, value]) => `${wordsOf(name)} ${value}`)
          .join(", "),
    ],
    ["made with", tools.join(", ")],
    ["keys", countOf(manifest.keys.length, "key")],
    ...Object.entries(manifest.facts).map(([name, count]): [string, string] => [
      wordsOf(name),
      name.endsWith("Bytes") ? `${sizeText(count)} (${countText(count)})` : countText(count),
    ]),
  ];
  const known = rows.filter((row): row is [string, string] => row[1] !== undefined);
  if (items === undefined)
    return `${facts(known)}\nNames stand in the encrypted parts: give --identity FILE to see them.\n`;
  const columns = [{ title: "SIZE", right: true }, { title: "CONTENT" }];
  return `${facts(known)}\n${table(
    columns,
    items.map(({ what, bytes }) => [sizeText(bytes), what]),
  )}`;
}
