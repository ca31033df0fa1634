/**
 * Dovecot's programs at work on private copies of mailboxes, without its master process, its configuration or its users: `imap` speaks IMAP
 * on its standard input as soon as it is started, for the one mailbox in its home.
 */
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../component.ts";
import { openShelter } from "../shelter.ts";
import { type Response, readResponses } from "./imap-responses.ts";
import { copyMailbox } from "./private-maildir.ts";
import type { Tree } from "./tree.ts";

/** Copies of mailboxes in one Maildir: Dovecot can do with them as it likes. */
export interface CopiedMailboxes {
  /** The directory that is the Maildir. */
  readonly home: string;
  /** Of every mailbox: its folders → their IMAP names here. */
  readonly names: readonly ReadonlyMap<string, string>[];
}

/** What is done to a folder by its IMAP name: counters raised, or messages given a keyword. */
export type Change =
  | { readonly folder: string; readonly nextUid: number; readonly highestModseq: bigint }
  | { readonly folder: string; readonly keyword: string; readonly uids: string };

export interface PrivateDovecot {
  /** The mailboxes themselves are only read. Paths in latin1. */
  copy(mailboxes: readonly { readonly mailbox: string; readonly tree: Tree }[], numbered?: boolean): CopiedMailboxes;
  /**
   * What an IMAP server says to these commands, each without its line end.
   *
   * @throws MailarkError `PROGRAM_FAILED` when it did not come up, or is still busy after five minutes; `CHECK_FAILED` when it came up and broke off.
   */
  imap(copy: CopiedMailboxes, commands: readonly string[]): AsyncGenerator<Response>;
  /** Lets `doveadm` change folders of a copy that have numbers for names. Throws as `outputOf` does. */
  change(copy: CopiedMailboxes, changes: readonly Change[]): Promise<void>;
  discard(copy: CopiedMailboxes): Promise<void>;
  /** Nothing of it is left. */
  remove(): Promise<void>;
}

const patienceMilliseconds = 300_000;

/** Where Debian, Red Hat and FreeBSD have it. */
export const imapPrograms = ["/usr/lib/dovecot/imap", "/usr/libexec/dovecot/imap", "/usr/local/libexec/dovecot/imap"];

/** A number that owns nothing. */
const nobody = { uid: 65534, gid: 65534 };

/** Each lets an account read what is not its own. The second is for containers, which do not have the first. */
const rightsToRead = ["dac_read_search", "dac_override"];

/**
 * @param path where its own directory is made; absent: in the system's directory for temporary files.
 * @param probe a file that it is to read.
 * @throws MailarkError `PROGRAM_MISSING` without Dovecot; `PROGRAM_FAILED` where root can not give another account the right to read only.
 */
export async function openPrivateDovecot(
  world: World,
  { path = `${tmpdir()}/mailark-imap-${randomBytes(8).toString("hex")}`, probe }: { path?: string; probe: string },
): Promise<PrivateDovecot> {
  const { files, processes, signal, clock } = world;
  const program = imapPrograms.find((each) => files.statSync(each, { throwIfNoEntry: false }));
  if (program === undefined) {
    throw new MailarkError("PROGRAM_MISSING", "Dovecot is not installed here", {
      hint: "install dovecot-imapd; it needs not run as a service",
    });
  }
  const asRoot = process.getuid?.() === 0;
  const account = asRoot ? nobody : { uid: process.getuid!(), gid: process.getgid!() };
  const shelter = await openShelter({ path, accounts: [] }, world);
  try {
    const privileges = asRoot ? await leastPrivileges() : [];
    const config = `${path}/dovecot.conf`;
    await shelter.write("dovecot.conf", lines(configuration(account)));
    if (asRoot) {
      files.chownSync(path, account.uid, account.gid);
      files.chownSync(config, account.uid, account.gid);
    }
    let copies = 0;
    const environment = ({ home }: CopiedMailboxes) => ({ HOME: home, USER: "mailark", TZ: "UTC" });
    return {
      copy(mailboxes, numbered = false) {
        copies += 1;
        const home = `${path}/${copies}`;
        const owner = asRoot ? account : undefined;
        files.mkdirSync(home, { mode: 0o700 });
        if (owner) files.chownSync(home, owner.uid, owner.gid);
        const names = mailboxes.map((each, number) =>
          copyMailbox(files, each, { home, name: `m${number}`, owner, numbered }),
        );
        return { home, names };
      },
      async *imap(copy, commands) {
        const done = new AbortController();
        const late = new AbortController();
        clock.sleep(patienceMilliseconds, done.signal).then(
          () => late.abort(new MailarkError("PROGRAM_FAILED", "the IMAP server did not answer in time")),
          () => {},
        );
        const running = await processes.start(shelter.command([...privileges, program, "-c", config]), {
          env: environment(copy),
          signal: AbortSignal.any([signal, late.signal]),
        });
        // It stays open: where the server waits for its output to be taken, the end of its input ends the session.
        running.stdin.write([...commands, "end LOGOUT", ""].join("\r\n"), "latin1");
        let greeted = false;
        let ended = false;
        try {
          for await (const response of readResponses(running.stdout)) {
            if (response.line.startsWith("end OK")) ended = true;
            else if (!greeted) greeted = response.line.startsWith("* PREAUTH");
            else yield response;
          }
          if (!ended) {
            signal.throwIfAborted();
            late.signal.throwIfAborted();
            await running.exited;
            const detail = running.complaint();
            if (greeted) throw new MailarkError("CHECK_FAILED", "the IMAP server gave up", { detail });
            throw new MailarkError("PROGRAM_FAILED", "the IMAP server did not come up", { detail });
          }
        } finally {
          done.abort();
          running.kill();
          await running.exited;
        }
      },
      async change(copy, changes) {
        const environment = ["env", `HOME=${copy.home}`, "USER=mailark"];
        const lines = changes.map((change) =>
          "keyword" in change
            ? ["keyword", change.folder, change.keyword, change.uids]
            : ["status", change.folder, change.nextUid, change.highestModseq],
        );
        const input = lines.map((words) => `${words.join("\t")}\n`).join("");
        await shelter.run([...privileges, ...environment, "sh", "-c", changeScript, "sh", config], input);
      },
      async discard({ home }) {
        await shelter.run(["rm", "-rf", "--", home]);
      },
      remove: () => shelter.remove(),
    };
  } catch (error) {
    await shelter.remove();
    throw error;
  }

  /** An account that owns nothing and may read everything; what it writes it can only write in its own directory. */
  async function leastPrivileges(): Promise<string[]> {
    for (const right of rightsToRead) {
      const words = [
        "setpriv",
        `--reuid=${account.uid}`,
        `--regid=${account.gid}`,
        "--clear-groups",
        `--inh-caps=-all,+${right}`,
        `--ambient-caps=-all,+${right}`,
        "--no-new-privs",
        "--",
      ];
      try {
        await shelter.run([...words, "head", "-c", "1", "--", probe]);
        return words;
      } catch (error) {
        if (!(error instanceof MailarkError) || error.code !== "PROGRAM_FAILED") throw error;
      }
    }
    throw new MailarkError("PROGRAM_FAILED", "no other account than root can be let read what was restored", {
      hint: "allow mailark the capability DAC_READ_SEARCH",
    });
  }
}

/** Takes tab-separated rows. Folders must have been looked at before their counters can be raised. One shell for all, since to start one `doveadm` after the other takes less than to start one from here. */
const changeScript = `
doveadm -c "$1" mailbox status uidnext "*" < /dev/null > /dev/null || exit
while IFS="	" read -r what folder first second; do
  case $what in
    status) doveadm -c "$1" mailbox update --min-next-uid "$first" --min-highest-modseq "$second" "$folder" ;;
    keyword) doveadm -c "$1" flags add "$first" mailbox "$folder" uid "$second" ;;
  esac < /dev/null || exit
done`;

/**
 * All that Dovecot 2.3 must be told: nothing of the machine's own configuration is read. A size in a file's name that is wrong since ever would
 * end the session.
 */
const configuration = ({ uid, gid }: { uid: number; gid: number }): string => `log_path = /dev/stderr
ssl = no
mail_location = maildir:~
mail_uid = ${uid}
mail_gid = ${gid}
first_valid_uid = 1
first_valid_gid = 0
mail_fsync = never
maildir_broken_filename_sizes = yes
stats_writer_socket_path =
namespace inbox {
  inbox = yes
}
`;

async function* lines(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}
