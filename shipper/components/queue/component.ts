import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Component, Estimate, PlannedItem, Selection, World } from "../component.ts";
import { directoryHere } from "../elsewhere.ts";
import { captureQueue } from "./capture.ts";
import { checkQueue } from "./check.ts";
import type { QueueConfig } from "./config.ts";
import { diagnoseQueue } from "./diagnose.ts";
import { fillingOf } from "./filling.ts";
import { vetted } from "./gate.ts";
import { readIndex } from "./index-rows.ts";
import { messageQueues } from "./layout.ts";
import { listSpool } from "./listing.ts";
import { findSpool } from "./spool.ts";
import { type StagedQueue, stageQueue } from "./stage.ts";

/** The messages that a Postfix has accepted and not delivered yet. */
export function queueComponent(config: QueueConfig): Component<StagedQueue> {
  return {
    name: "queue",
    diagnose: (world) => diagnoseQueue(config, world),
    estimate: (world) => estimateQueue(config, world),
    capture: (context) => captureQueue(config, context),
    plan: planQueue,
    stage: (snapshot, place, selection, world) => {
      refuseSelection(selection);
      return stageQueue(config, snapshot, place, world);
    },
    examine: examineQueue,
    check: checkQueue,
    serviceDirectory: (world) => directoryHere(config, world, async () => (await findSpool(config, world)).directory),
    filling: fillingOf(config),
  };
}

async function estimateQueue(config: QueueConfig, world: World): Promise<Estimate[]> {
  const { directory } = await findSpool(config, world);
  const { files } = await listSpool(config, directory, world);
  return messageQueues.flatMap((queue) => {
    const own = files.filter((file) => file.queue === queue);
    return own.length === 0
      ? []
      : [{ what: `${queue}: ${own.length}`, bytes: own.reduce((sum, { size }) => sum + size, 0) }];
  });
}

async function planQueue(snapshot: SnapshotReader, selection: Selection): Promise<PlannedItem[]> {
  refuseSelection(selection);
  const { messages } = await readIndex(snapshot);
  return messageQueues.flatMap((queue) => {
    const own = messages.filter(({ path }) => path.startsWith(`${queue}/`));
    return own.length === 0
      ? []
      : [{ what: `${queue}: ${own.length}`, bytes: own.reduce((sum, { size }) => sum + size, 0) }];
  });
}

/** Every file that the index names is in the archive, and nothing else, as a stage would take it. */
async function examineQueue(snapshot: SnapshotReader): Promise<void> {
  for await (const _ of vetted(snapshot, await readIndex(snapshot), { hold: true }));
}

function refuseSelection({ mailboxes, databases }: Selection): void {
  if (mailboxes === undefined && databases === undefined) return;
  throw new MailarkError("ARGUMENT_INVALID", "a queue has neither mailboxes nor databases to choose from", {
    hint: "restore it whole, into a directory if only some of it is wanted",
  });
}
