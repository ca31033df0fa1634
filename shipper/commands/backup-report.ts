import { exitCodes } from "../../core/errors.ts";
import { storedBytes } from "../../core/manifest.ts";
import type { BackupResult } from "../backup.ts";
import type { Config } from "../config.ts";
import type { BackupRequest } from "../request.ts";
import { errorDocument, errorText } from "../terminal/error-text.ts";
import { durationText, ratioText, sizeText } from "../terminal/quantity.ts";
import { table } from "../terminal/table.ts";
import type { Outcome } from "./command.ts";
import { contentsText, warningsText } from "./contents.ts";
import { findingsText } from "./findings.ts";
import { areShort, faultsText, type StoresReport, storesDocument, storesText } from "./stores-report.ts";

/** What is told of a run: a table, what each component has to say, and all of it as a document. The exit code is the worst of it. */
export function backupReport(
  config: Config,
  { runId, outcomes, findings, recordError, ...result }: BackupResult,
  request: BackupRequest,
  stores: StoresReport,
): Outcome {
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
  const rows = outcomes.map(({ component, manifest, startedAt, finishedAt, bytesRead }) => {
    const stored = manifest ? storedBytes(manifest) : 0;
    const time = durationText(finishedAt - startedAt);
    return manifest
      ? [
          component,
          manifest.completeness,
          manifest.snapshotId,
          sizeText(bytesRead),
          sizeText(stored),
          ratioText(bytesRead, stored),
          time,
          contentsText(manifest),
        ]
      : [component, "failed", "none", sizeText(bytesRead), "", "", time, ""];
  });
  const notes = outcomes.flatMap(({ component, manifest, error }) => {
    if (error) return [`\n${component}: ${errorText(error)}`];
    const warnings = warningsText(manifest);
    return warnings === "" ? [] : [`\n${component}: ${warnings}\n`];
  });
  const unrecorded = recordError ? `\nthe record of this run is in no store: ${errorText(recordError)}` : "";
  const stored = outcomes.some(({ manifest }) => manifest);
  const next = stored
    ? `\nStored at ${stores.all.within().join(" and ")}; check it with: mailark verify\n`
    : "\nNothing was stored.\n";
  const exitCode = result.exitCode === exitCodes.ok && areShort(stores) ? exitCodes.partial : result.exitCode;
  return {
    exitCode,
    text:
      table(columns, rows) +
      notes.join("") +
      findingsText(findings ?? []) +
      storesText(stores) +
      faultsText(stores) +
      unrecorded +
      requestText(request, outcomes) +
      next,
    document: {
      command: "backup",
      hostId: config.host.id,
      store: config.store,
      ...(stores.names.length > 1 && { stores: storesDocument(stores) }),
      requests: stores.requests,
      runId,
      requestId: request.requestId,
      exitCode,
      components: outcomes.map(({ component, manifest, error, startedAt, finishedAt, bytesRead }) => ({
        component,
        outcome: manifest?.completeness ?? "failed",
        snapshotId: manifest?.snapshotId,
        offered: request.bases.get(component),
        kind: manifest?.kind,
        base: manifest?.base,
        startedAt: new Date(startedAt).toISOString(),
        cutAt: manifest?.cutAt,
        finishedAt: new Date(finishedAt).toISOString(),
        bytesRead,
        bytesStored: manifest ? storedBytes(manifest) : 0,
        facts: manifest?.facts,
        warnings: manifest?.warnings,
        error: error && errorDocument(error),
      })),
      recordError: recordError && errorDocument(recordError),
      breakGlass: stores.faults.map(({ store, error }) => ({ store, error: errorDocument(error) })),
      warnings: findings?.map(({ code, names }) => ({ code, count: names.length, names })),
    },
  };
}

/** What a controller asked for, and what came of its bases. Empty where none did. */
function requestText({ requestId, bases }: BackupRequest, outcomes: BackupResult["outcomes"]): string {
  const asked = requestId === undefined ? "" : `\nAsked for as ${requestId}.\n`;
  const unused = outcomes.filter(({ component, manifest }) => bases.has(component) && manifest?.kind === "full");
  if (unused.length === 0) return asked;
  return `${asked}\nCaptured in full, not built on what is known to be intact: ${unused.map(({ component }) => component).join(", ")}.\n`;
}
