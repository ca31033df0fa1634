/**
 * What a component is: something of a host that is captured and restored as a whole. The commands, the drill and the restore
 * know nothing else of it.
 */
import type { ComponentName } from "../../core/keys.ts";
import type { Manifest } from "../../core/manifest.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Files } from "../../core/ports/files.ts";
import type { SnapshotReader } from "../../core/snapshot-reader.ts";
import type { Observation } from "../doctor/observation.ts";
import type { SnapshotWriter } from "../pipeline/snapshot-writer.ts";
import type { Processes } from "../processes.ts";
import type { SealingKeys } from "../sealing-keys.ts";
import type { StagedHost } from "./staged-host.ts";

/** The ways to the world that a component may use. */
export interface World {
  readonly files: Files;
  readonly processes: Processes;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Says what is going on, in a few words: for a person who watches. */
  readonly progress: (doing: string) => void;
  /** Says what the operator must see although the work goes on; `detail` may name a mailbox or a path. */
  readonly warn?: (message: string, detail?: string) => void;
}

export interface CaptureContext extends World {
  /** Takes the parts. The component never sees the store. */
  readonly writer: SnapshotWriter;
  readonly keys: SealingKeys;
}

/** What a capture knows when it is done. It throws unless everything that it was asked to capture was handed to the writer. */
export interface Captured
  extends Pick<Manifest, "completeness" | "tools" | "server" | "position" | "facts" | "warnings"> {
  /** The moment that the content is of, in milliseconds since 1970. */
  readonly cutAt: number;
}

/** What a capture would read, for a plan. */
export interface Estimate {
  readonly what: string;
  readonly bytes: number;
}

/** Where a snapshot is brought back to. None of them is a live service with content. */
export type Place =
  /** Private servers and files below `path`, for a check; removed by `Staged.remove`. */
  | { readonly kind: "scratch"; readonly path: string }
  /** Files for a person, below `path`, which is absent or empty. */
  | { readonly kind: "directory"; readonly path: string }
  /** The service that the configuration names; it must hold nothing. */
  | { readonly kind: "service" };

/** Narrows a restore to a part of a component. */
export interface Selection {
  /** Mailboxes by address or by path below the mail root. */
  readonly mailboxes?: readonly string[];
  /** Databases by name. */
  readonly databases?: readonly string[];
  /** Files and directories by their absolute paths on the host. */
  readonly paths?: readonly string[];
}

export interface PlannedItem {
  readonly what: string;
  readonly bytes: number;
  /** How many files they lie in, where those are many and small. */
  readonly files?: number;
}

/** A snapshot that stands somewhere beside everything live. */
export interface Staged {
  readonly place: Place;
  /** What others may use of it while it stands, where it stands in a scratch place of this machine. */
  readonly offers?: StagedHost;
  /** Ends what was started for it and, for scratch, leaves nothing behind. */
  remove(): Promise<void>;
}

/** One thing that an application would rely on, looked at after a stage. */
export interface Check {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "unproven";
  /** What was compared with what, or why it could not be. May name a mailbox or a table. */
  readonly detail: string;
}

/** A live service that is filled in many steps: a restore that was killed leaves some of them done. */
export interface Filling {
  /** @throws MailarkError `TARGET_NOT_EMPTY` unless the service holds nothing. */
  refuseUnlessEmpty(world: World): Promise<void>;
  /**
   * Takes away what a killed stage of this snapshot left in a service that held nothing before.
   *
   * @throws MailarkError `TARGET_NOT_EMPTY`, with nothing touched, when the service also holds what the snapshot does not.
   */
  takeBack(snapshot: SnapshotReader, world: World): Promise<void>;
}

export interface Component<S extends Staged = Staged> {
  readonly name: ComponentName;
  /**
   * Looks whether a capture and a restore find what they need: programs, rights, places. Changes nothing. What keeps a capture from beginning is told by
   * {@link Component.estimate}; never throws but where it is interrupted.
   */
  diagnose(world: World): Promise<readonly Observation[]>;
  /** Looks, reads nothing: what a capture would take. Throws where a capture would fail at once. */
  estimate(world: World): Promise<readonly Estimate[]>;
  /** @throws MailarkError when anything that belongs to the component could not be captured and it is not said in `warnings`. */
  capture(context: CaptureContext): Promise<Captured>;
  /** What a stage would bring back, without doing it. */
  plan(snapshot: SnapshotReader, selection: Selection): Promise<readonly PlannedItem[]>;
  /**
   * Brings a snapshot back beside everything live.
   *
   * @throws MailarkError `TARGET_NOT_EMPTY` before anything is touched; otherwise what went wrong, with nothing of it left at a scratch place.
   */
  stage(snapshot: SnapshotReader, place: Place, selection: Selection, world: World): Promise<S>;
  /**
   * Reads all that a stage would read and the parts do not hold by themselves, and writes nothing.
   *
   * @throws MailarkError for the first thing that is not what was captured.
   */
  examine?(snapshot: SnapshotReader, world: World): Promise<void>;
  /**
   * The directory that a stage into the service fills, so that what does not fit is not begun. `undefined`: it is not on this machine, or the
   * server does not tell. Throws what asking throws.
   */
  serviceDirectory?(world: World): Promise<string | undefined>;
  /** Absent where a stage into the service is done in one step. */
  readonly filling?: Filling;
  /** Judges what was staged against the facts of the capture. Never silent: what can not be judged is `unproven`. */
  check(staged: S, world: World): Promise<readonly Check[]>;
}
