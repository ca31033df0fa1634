/** What the private servers stand on: the shelter, who may be what in it, and what of the live host they may not reach. */
import { MailarkError } from "../../../core/errors.ts";
import { writeWhole } from "../../../core/ports/files.ts";
import { bytePath } from "../../components/byte-path.ts";
import type { World } from "../../components/component.ts";
import { openShelter, type ServerPlan, type Shelter } from "../../components/shelter.ts";
import type { StagedHost } from "../../components/staged-host.ts";
import { readText } from "../../state-files.ts";
import { type Isolation, isolate } from "./isolation.ts";

export interface Account {
  readonly name: string;
  readonly group: string;
  readonly uid: number;
  readonly gid: number;
}

export interface Ground {
  readonly shelter: Shelter;
  readonly world: World;
  readonly isolation: Isolation;
  readonly isRoot: boolean;
  /** As those of the shelter, isolated; errors name the program. */
  run(words: readonly [string, ...string[]]): Promise<Buffer>;
  serve(plan: Omit<ServerPlan, "asRoot"> & { readonly as?: Account }): Promise<{ end(): Promise<void> }>;
  /** Where the private servers meet. */
  readonly imapSocket: string;
  readonly lmtpSocket: string;
  readonly saslSocket: string;
  /** The account of that name where root runs this, or else `nobody`; whoever is not root has only himself. */
  accountOf(name: string): Account;
  /** A `uid` or `gid` that this machine has no name for: that of the staged mailboxes, as a number. Any other: itself. */
  idOf(kind: "uid" | "gid", name: string): string;
  /** Whether an absolute path, in latin1, is where mail was staged. */
  isStagedMail(path: string): boolean;
  /** Makes a directory that every account may look into, whatever the umask. */
  makeFolder(at: string): void;
  /** Writes a file (latin1) that its owner alone can read, unless the mode says otherwise; it looks a minute old. */
  write(path: string, text: string, mode?: number): void;
}

export async function prepareGround(
  staged: StagedHost,
  path: string,
  hidden: readonly string[],
  world: World,
): Promise<Ground> {
  const { files } = world;
  const shelter = await openShelter({ path, accounts: [] }, world);
  try {
    files.chmodSync(path, 0o711);
    const isRoot = process.getuid?.() === 0;
    const isolation = await isolate(shelter, hidden, world);
    return {
      shelter,
      world,
      isolation,
      isRoot,
      imapSocket: `${path}/imap`,
      lmtpSocket: `${path}/lmtp`,
      saslSocket: `${path}/sasl`,
      run: (words) => naming(words[0], () => shelter.run(isolation.command(words))),
      serve({ as, words, ...plan }) {
        const become =
          as && isRoot ? ["setpriv", `--reuid=${as.uid}`, `--regid=${as.gid}`, "--clear-groups", "--"] : [];
        const all = isolation.command([...become, ...words]);
        return naming(words[0], () => shelter.serve({ ...plan, words: all, asRoot: true }));
      },
      accountOf: accounts(world, isRoot),
      idOf: ids(staged, world),
      isStagedMail: (at) => staged.mail !== undefined && `${at}/`.startsWith(`${staged.mail.root}/`),
      makeFolder(at) {
        files.mkdirSync(at);
        files.chmodSync(at, 0o755);
      },
      write(at, text, mode = 0o600) {
        const descriptor = files.openSync(at, "wx", mode);
        try {
          writeWhole(files, descriptor, Buffer.from(text, "latin1"));
        } finally {
          files.closeSync(descriptor);
        }
        files.chmodSync(at, mode);
        // Postfix waits for seconds on a file that was written a moment ago.
        const before = world.clock.now() / 1000 - 60;
        files.utimesSync(at, before, before);
      },
    };
  } catch (error) {
    await shelter.remove();
    throw error;
  }
}

/** Whom the first mailbox belongs to: on another machine than the host's own its owner may have no name. */
function ids({ mail }: StagedHost, { files }: World): Ground["idOf"] {
  return (kind, name) => {
    const table = readText(files, kind === "uid" ? "/etc/passwd" : "/etc/group") ?? "";
    if (mail === undefined || /^\d*$/.test(name) || table.split("\n").some((line) => line.startsWith(`${name}:`))) {
      return name;
    }
    const inside = files.readdirSync(bytePath(mail.root), { encoding: "latin1" }) as string[];
    return String(files.statSync(bytePath(`${mail.root}/${inside.find((each) => !each.startsWith(".")) ?? ""}`))[kind]);
  };
}

/** Not those that isolate it. */
async function naming<T>(program: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MailarkError)) throw error;
    const named = (text: string) => text.replace(/\b(unshare|setpriv)\b/g, program);
    throw new MailarkError(error.code, named(error.message), {
      ...(error.detail !== undefined && { detail: error.detail }),
      ...(error.hint !== undefined && { hint: named(error.hint) }),
      cause: error,
    });
  }
}

function accounts({ files }: World, isRoot: boolean): Ground["accountOf"] {
  const table = (path: string) => (readText(files, path) ?? "").split("\n").map((line) => line.split(":"));
  const users = table("/etc/passwd");
  const groups = table("/etc/group");
  const account = ([name = "nobody", , uid, gid]: readonly string[]): Account => ({
    name,
    group: groups.find(([, , id]) => id === gid)?.[0] ?? gid ?? "nogroup",
    uid: Number(uid ?? 65534),
    gid: Number(gid ?? 65534),
  });
  const own = String(process.getuid?.());
  return (wanted) => {
    if (!isRoot) return account(users.find(([, , uid]) => uid === own) ?? [own, "", own, String(process.getgid?.())]);
    return account(users.find(([name]) => name === wanted) ?? users.find(([name]) => name === "nobody") ?? []);
  };
}
