/**
 * The consistency report of a run: accounts are asked before the first capture, the others looked at right after theirs, and where they do not
 * fit, accounts are asked once more. It costs a run some queries and a listing, and can not make it fail.
 */
import { asMailarkError, MailarkError } from "../../core/errors.ts";
import type { ComponentName } from "../../core/keys.ts";
import { pathText } from "../components/byte-path.ts";
import type { World } from "../components/component.ts";
import type { MailConfig } from "../components/mail/config.ts";
import { discover } from "../components/mail/discover.ts";
import type { QueueConfig } from "../components/queue/config.ts";
import { type AccountServers, askAccounts } from "./accounts.ts";
import type { AccountsConfig } from "./config.ts";
import { postfixDomains, queuedFiles } from "./queue.ts";
import { type Accounts, areComparable, compare, type Finding, type QueuedFile } from "./report.ts";

/** Looks at a host while a run captures it. No method throws; what could not be found out is a finding. */
export interface Comparison {
  /** Before the first capture. */
  begin(): Promise<void>;
  /** As soon as a component was captured. What failed is not compared. */
  captured(component: ComponentName): Promise<void>;
  /** After the last. `undefined`: nothing was there to be compared. */
  finish(): Promise<readonly Finding[] | undefined>;
}

/** What is compared, as configured. */
export interface Compared {
  readonly accounts: AccountsConfig;
  readonly components: AccountServers & {
    readonly mail?: MailConfig | undefined;
    readonly queue?: QueueConfig | undefined;
  };
  /** Mail of the host itself comes from there. */
  readonly hostName: string;
}

/**
 * @param wanted the components of this run. Directories are compared where it captures mail, the queue where it captures that, aliases where
 *   it captures the server that has the accounts; these are asked in any case.
 * @param limit milliseconds that one look may take.
 */
export function comparison(
  { accounts, components, hostName }: Compared,
  wanted: readonly ComponentName[],
  world: World,
  { limit = 30_000 }: { readonly limit?: number } = {},
): Comparison {
  const comparable = ["mail", "queue", ...(accounts.aliases === undefined ? [] : [accounts.component])];
  const unknown: string[] = [];
  let before: Accounts | undefined;
  let directories: readonly string[] | undefined;
  let queue: readonly QueuedFile[] | undefined;
  let postfix: readonly string[] = [];
  let aliases = false;

  async function look<T>(what: string, work: (world: World) => Promise<T>): Promise<T | undefined> {
    try {
      world.signal.throwIfAborted();
      return await within(limit, world, work);
    } catch (thrown) {
      const { message, detail } = asMailarkError(thrown);
      unknown.push([what, message, ...(detail ? [detail.trim().replace(/\s*\n\s*/g, "; ")] : [])].join(": "));
      return undefined;
    }
  }
  // Sooner than the look, so that the server's end of it comes first.
  const ask = () => look("the accounts", (limited) => askAccounts(accounts, components, limited, limit / 2));

  return {
    async begin() {
      if (wanted.some((component) => comparable.includes(component))) before = await ask();
    },

    async captured(component) {
      if (before === undefined) return;
      if (component === accounts.component) aliases = accounts.aliases !== undefined;
      const { mail, queue: spool } = components;
      if (component === "mail" && mail !== undefined) {
        const known = before;
        directories = await look("the mailboxes", async ({ files }) => addressesBelow(files, mail, known));
      }
      if (component === "queue" && spool !== undefined) {
        queue = await look("the queue", (limited) => queuedFiles(spool, limited));
        // Without its answer more is strange than there is.
        const named = queue && (await look("the domains of Postfix", (limited) => postfixDomains(spool, limited)));
        if (named === undefined) queue = undefined;
        else postfix = [hostName, ...named];
      }
    },

    async finish() {
      const seen = { directories, queue, postfixDomains: postfix, aliases };
      const compared = directories !== undefined || queue !== undefined || aliases;
      if (!compared && unknown.length === 0) return undefined;
      let findings: readonly Finding[] = [];
      if (before !== undefined && compare(before, before, seen).length > 0) {
        const after = await ask();
        if (after !== undefined) findings = compare(before, after, seen);
      }
      return unknown.length === 0 ? findings : [...findings, { code: "CONSISTENCY_UNKNOWN", names: unknown }];
    },
  };
}

/** @throws MailarkError `CONFIG_INVALID` where directories say users and accounts say addresses, or the other way round. */
function addressesBelow(files: World["files"], mail: MailConfig, accounts: Accounts): string[] {
  const { mailboxes } = discover(files, mail);
  const addresses = mailboxes.flatMap(({ address }) => (address === undefined ? [] : [pathText(address)]));
  if (areComparable(accounts, addresses)) return addresses;
  throw new MailarkError("CONFIG_INVALID", "components.mail.layout and accounts.mailboxes do not name mailboxes alike");
}

/** Ends what takes longer, and does not wait for its end. */
async function within<T>(limit: number, world: World, work: (world: World) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const done = new AbortController();
  const late = new MailarkError("PROGRAM_STALLED", `there was no answer within ${limit / 1000} s`);
  const timer = world.clock.sleep(limit, done.signal).then((): never => {
    over.abort(late);
    throw late;
  });
  const working = work({ ...world, signal: AbortSignal.any([world.signal, over.signal]) });
  working.catch(() => {});
  try {
    return await Promise.race([working, timer]);
  } finally {
    done.abort();
    timer.catch(() => {});
  }
}
