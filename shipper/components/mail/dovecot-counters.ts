/**
 * What Dovecot knows of a host's mailboxes and keeps in its indexes only, asked of `doveadm`: counters, and keywords above the 26 that a
 * Maildir has letters for.
 */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import { outputOf } from "../../processes.ts";
import type { World } from "../component.ts";
import type { MailConfig } from "./config.ts";
import { isKeyword } from "./dovecot-keywords.ts";

/** Of one folder; `highestModseq` may be larger than a number holds. */
export interface Counters {
  readonly uidValidity: number;
  readonly nextUid: number;
  readonly highestModseq: bigint;
}

export interface DovecotCounters {
  /** By the folder's GUID, which its `dovecot-uidlist` has too. `undefined`: it does not know of it. */
  counters(folderGuid: string): Counters | undefined;
  /** Keyword → UIDs, of all keywords of a folder but those of `known`. None where Dovecot does not know of it, or does not answer. */
  keywords(folderGuid: string, known: ReadonlySet<string>): Promise<ReadonlyMap<string, readonly number[]>>;
  /** So many questions were not answered. */
  readonly unanswered: number;
}

/** Longer than any host should need; a capture does not wait for ever for what it can do without. */
const patienceMilliseconds = 120_000;
/** Of Dovecot as it is installed: it is there while it runs. */
const authSocket = "/run/dovecot/auth-userdb";

/** Asks for all folders of all users, at once. Never throws but where the run is interrupted: what was not answered is counted. */
export async function askDovecot({ doveadm }: MailConfig, world: World): Promise<DovecotCounters> {
  const { files, processes, signal, clock } = world;
  const folders = new Map<string, Counters & { readonly user: string }>();
  let unanswered = 0;
  const runsHere = () => files.statSync(authSocket, { throwIfNoEntry: false }) !== undefined;
  if (doveadm.enabled === "auto" && (doveadm.command.length > 0 || runsHere())) {
    const fields = "guid uidvalidity uidnext highestmodseq";
    for (const row of await ask("mailbox", "status", "-A", fields, "*")) {
      const { Username: user, guid, uidvalidity, uidnext, highestmodseq } = row;
      if (user === undefined || guid === undefined || !/^[0-9]{1,19}$/.test(highestmodseq ?? "")) continue;
      folders.set(guid, {
        user,
        uidValidity: Number(uidvalidity),
        nextUid: Number(uidnext),
        highestModseq: BigInt(highestmodseq!),
      });
    }
  }
  return {
    counters: (folderGuid) => folders.get(folderGuid),
    async keywords(folderGuid, known) {
      const found = new Map<string, number[]>();
      const folder = folders.get(folderGuid);
      if (folder === undefined) return found;
      for (const { uid, flags = "" } of await ask(
        "fetch",
        "-u",
        folder.user,
        "uid flags",
        "mailbox-guid",
        folderGuid,
      )) {
        for (const flag of flags.split(" ")) {
          if (!isKeyword(flag) || known.has(flag)) continue;
          const uids = found.get(flag) ?? [];
          found.set(flag, uids);
          uids.push(Number(uid));
        }
      }
      return found;
    },
    get unanswered() {
      return unanswered;
    },
  };

  /** Rows by the names of their columns; none where it failed. In latin1. */
  async function ask(...words: readonly string[]): Promise<Record<string, string>[]> {
    const done = new AbortController();
    const late = new AbortController();
    clock.sleep(patienceMilliseconds, done.signal).then(
      () => late.abort(new MailarkError("PROGRAM_STALLED", "doveadm did not answer in time")),
      () => {},
    );
    try {
      const command = [...doveadm.command, "doveadm", "-f", "tab", ...words] as unknown as [string];
      const printed = await outputOf(processes, command, { signal: AbortSignal.any([signal, late.signal]) });
      return rowsOf(printed.toString("latin1"));
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asMailarkError(thrown);
      unanswered += 1;
      world.warn?.(`Dovecot could not be asked for its counters: ${error.message}`, error.detail ?? error.hint);
      return [];
    } finally {
      done.abort();
    }
  }
}

/** The lines of `doveadm -f tab`: the first names the columns. */
function rowsOf(printed: string): Record<string, string>[] {
  const [head = "", ...lines] = printed.split("\n");
  const names = head.split("\t");
  return lines
    .filter((line) => line !== "")
    .map((line) => Object.fromEntries(line.split("\t").map((value, column) => [names[column] ?? "", value])));
}
