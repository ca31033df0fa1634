import { asMailarkError, type MailarkError } from "../../../core/errors.ts";
import { bytePath, pathText } from "../byte-path.ts";
import type { Check, World } from "../component.ts";
import { type ImapView, type ViewedMailbox, viewByImap } from "./imap-view.ts";
import { openPrivateDovecot, type PrivateDovecot } from "./private-dovecot.ts";
import type { StagedMail } from "./stage.ts";
import { verdict } from "./verdict.ts";

const name = "an IMAP server shows them";
/** What one server reads: to start one takes longer than to read a mailbox. */
const mostMailboxes = 25;
const mostMessages = 5000;
/** IMAP servers at work at the same time. */
const atOnce = 3;

/**
 * Lets a private IMAP server read every staged mailbox and compares what it shows with what was captured. The mailboxes are not changed by it.
 * Where no server can be had that is said, and nothing is passed.
 */
export class ImapCheck {
  readonly #staged: StagedMail;
  readonly #world: World;
  readonly #waiting: ViewedMailbox[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #views: ImapView[] = [];
  readonly #brokenOff: string[] = [];
  #dovecot: PrivateDovecot | undefined;
  #unproven: MailarkError | undefined;

  constructor(staged: StagedMail, world: World) {
    this.#staged = staged;
    this.#world = world;
  }

  /** Takes a mailbox in; resolves when there is room for the next one. */
  async add(mailbox: ViewedMailbox): Promise<void> {
    if (this.#unproven || mailbox.index.folders.size === 0) return;
    this.#waiting.push(mailbox);
    const messages = this.#waiting.reduce((sum, { index }) => sum + index.messages.size, 0);
    if (this.#waiting.length >= mostMailboxes || messages >= mostMessages) await this.#start();
  }

  async #start(): Promise<void> {
    const mailboxes = this.#waiting.splice(0);
    if (mailboxes.length === 0) return;
    try {
      this.#dovecot ??= await this.#open(mailboxes[0]!);
    } catch (error) {
      this.#giveUp(error);
      return;
    }
    const running = this.#view(this.#dovecot, mailboxes).finally(() => this.#running.delete(running));
    this.#running.add(running);
    running.catch(() => {});
    if (this.#running.size >= atOnce) await Promise.race(this.#running);
  }

  async #view(dovecot: PrivateDovecot, mailboxes: readonly ViewedMailbox[]): Promise<void> {
    try {
      this.#views.push(await viewByImap(dovecot, mailboxes, this.#world.files));
    } catch (thrown) {
      const error = asMailarkError(thrown);
      if (error.code !== "CHECK_FAILED") this.#giveUp(thrown);
      // Which of them made the server break off is seen when it is asked for each alone.
      else if (mailboxes.length > 1) for (const each of mailboxes) await this.#view(dovecot, [each]);
      else
        this.#brokenOff.push(
          [pathText(mailboxes[0]!.index.path), error.message, lastLine(error)].filter(Boolean).join(": "),
        );
    }
  }

  async verdict(): Promise<Check> {
    await this.#start();
    await Promise.all(this.#running);
    const wrong = [...this.#brokenOff, ...this.#views.flatMap((view) => view.wrong)];
    const error = this.#unproven;
    if (error && wrong.length === 0) {
      const detail = [error.message, lastLine(error), error.hint].filter(Boolean).join(": ");
      return { name, outcome: "unproven", detail };
    }
    const sum = (what: "messages" | "folders" | "bodies" | "renamed" | "hidden") =>
      this.#views.reduce((total, view) => total + view[what], 0);
    const found = [`${sum("messages")} messages in ${sum("folders")} folders, the text of ${sum("bodies")}`];
    if (sum("renamed") > 0) found.push(`${sum("renamed")} folders under another name, theirs is none in IMAP`);
    if (sum("hidden") > 0) found.push(`not ${sum("hidden")} files with a line feed in their name`);
    return verdict(name, wrong, found.join("; "));
  }

  /** Ends what is at work. May be called after {@link verdict} and instead of it. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#running);
    await this.#dovecot?.remove();
  }

  #open({ mailbox, tree }: ViewedMailbox): Promise<PrivateDovecot> {
    const { place } = this.#staged;
    const paths = tree.messages.map(({ folder, state, base, info }) => `${mailbox}/${folder}/${state}/${base}${info}`);
    // A command line can only name what is UTF-8.
    const probe = paths.find((path) => Buffer.from(pathText(path)).equals(bytePath(path))) ?? "/dev/null";
    return openPrivateDovecot(this.#world, {
      ...(place.kind === "scratch" && { path: `${place.path}/.mailark-imap` }),
      probe: pathText(probe),
    });
  }

  #giveUp(thrown: unknown): void {
    this.#world.signal.throwIfAborted();
    const error = asMailarkError(thrown);
    if (!ofTheServer.has(error.code)) throw thrown;
    this.#unproven ??= error;
  }
}

const lastLine = ({ detail }: MailarkError) => detail?.split("\n").at(-1);

/** What says nothing of the mailboxes. */
const ofTheServer: ReadonlySet<string> = new Set(["PROGRAM_MISSING", "PROGRAM_FAILED", "PROGRAM_STALLED"]);
