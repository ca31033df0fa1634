import { type CatalogEntry, listHosts, listSnapshots } from "../../core/catalog.ts";
import { readTrust } from "../../core/enrolment.ts";
import { asMailarkError, exitCodes } from "../../core/errors.ts";
import { addressOfManifest, hostPrefix } from "../../core/keys.ts";
import { storedBytes } from "../../core/manifest.ts";
import { errorDocument } from "../terminal/error-text.ts";
import { countOf, sizeText, timeText } from "../terminal/quantity.ts";
import { table } from "../terminal/table.ts";
import { componentsNamed } from "./arguments.ts";
import type { CommandContext, Outcome } from "./command.ts";
import { contentsText, idTimeText } from "./contents.ts";
import { warnOfFuture } from "./future.ts";
import { openNamedStore, openSource, type SourceOptions, warnUnlessPinned } from "./source.ts";

/** What is listed. */
export interface ListOptions extends SourceOptions {
  readonly components: readonly string[];
  /** The hosts of the store instead of the snapshots of one. */
  readonly hosts?: boolean;
}

/** What a store holds. A manifest that can not be believed is listed with the reason, and makes the exit status 4. */
export async function list(context: CommandContext, options: ListOptions): Promise<Outcome> {
  if (options.hosts) return hosts(context, options);
  const components = componentsNamed(options.components);
  const source = await openSource(context, options);
  warnUnlessPinned(context, source);
  const entries: CatalogEntry[] = [];
  for await (const entry of listSnapshots(source.reader, source.hostId, source.trusted, components)) {
    context.signal.throwIfAborted();
    entries.push(entry);
  }
  await warnOfFuture(context, source.reader, source.hostId, components);
  entries.sort((a, b) => (a.address.snapshotId < b.address.snapshotId ? -1 : 1));
  const exitCode = entries.some(({ error }) => error) ? exitCodes.verification : exitCodes.ok;
  return {
    exitCode,
    text: entries.length === 0 ? `host ${source.hostId} has no snapshot in ${source.url}\n` : snapshotTable(entries),
    document: {
      command: "list",
      hostId: source.hostId,
      store: source.url,
      pinned: source.pinned,
      exitCode,
      snapshots: entries.map(documentOf),
    },
  };
}

function snapshotTable(entries: readonly CatalogEntry[]): string {
  const columns = [
    { title: "TIME" },
    { title: "COMPONENT" },
    { title: "SNAPSHOT" },
    { title: "KIND" },
    { title: "STATE" },
    { title: "STORED", right: true },
    { title: "CONTENT" },
  ];
  const rows = entries.map(({ address, manifest, error }) =>
    manifest
      ? [
          timeText(manifest.cutAt),
          address.component,
          address.snapshotId,
          manifest.kind,
          manifest.completeness,
          sizeText(storedBytes(manifest)),
          contentsText(manifest),
        ]
      : [
          idTimeText(address.snapshotId),
          address.component,
          address.snapshotId,
          "",
          "unreadable",
          "",
          `${error.code}: ${error.message}`,
        ],
  );
  const unreadable = entries.filter(({ error }) => error).length;
  const note =
    unreadable === 0 ? "" : `\n${countOf(unreadable, "snapshot")} can not be believed; see: mailark verify\n`;
  return table(columns, rows) + note;
}

function documentOf({ address, manifest, error }: CatalogEntry): object {
  const { component, snapshotId } = address;
  if (error) return { component, snapshotId, error: errorDocument(error) };
  const { kind, completeness, cutAt, runId, facts, warnings } = manifest;
  return {
    component,
    snapshotId,
    kind,
    completeness,
    cutAt,
    runId,
    bytesStored: storedBytes(manifest),
    facts,
    warnings,
  };
}

async function hosts(context: CommandContext, options: SourceOptions): Promise<Outcome> {
  const { reader, url } = openNamedStore(context, options);
  const rows = [];
  for (const hostId of await listHosts(reader)) {
    context.signal.throwIfAborted();
    const ids: string[] = [];
    for await (const row of reader.list(hostPrefix(hostId))) {
      const address = "key" in row ? addressOfManifest(row.key) : undefined;
      if (address) ids.push(address.snapshotId);
    }
    const newest = ids.sort().at(-1);
    rows.push({ hostId, name: await nameOf(hostId), snapshots: ids.length, newest });
  }
  const columns = [{ title: "HOST" }, { title: "NAME" }, { title: "SNAPSHOTS", right: true }, { title: "NEWEST" }];
  const cells = rows.map(({ hostId, name, snapshots, newest }) => [
    hostId,
    name,
    String(snapshots),
    newest === undefined ? "none" : idTimeText(newest),
  ]);
  return {
    exitCode: exitCodes.ok,
    text: rows.length === 0 ? `the store holds nothing of any host: ${url}\n` : table(columns, cells),
    document: { command: "list", store: url, exitCode: exitCodes.ok, hosts: rows },
  };

  /** What the host calls itself; nobody vouches for it. */
  async function nameOf(hostId: string): Promise<string> {
    try {
      const { keys } = await readTrust(reader, hostId, undefined);
      return [...new Set(keys.map(({ enrolment }) => enrolment.name))].join(", ");
    } catch (error) {
      if (asMailarkError(error).exitCode !== exitCodes.verification) throw error;
      return "(no enrolment that can be believed)";
    }
  }
}
