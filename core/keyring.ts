/**
 * The keyring: the private half of every key that segments are sealed to, itself sealed (docs/format.md §3).
 */
import { type Identity, keyIdOf, opener, parseIdentities, recipientOf } from "./age/age.ts";
import { MailarkError } from "./errors.ts";
import { hostOwner, keyringKey, keyringPrefix } from "./keys.ts";
import { escapeName, unescapeName } from "./rows.ts";
import { readWhole } from "./stores/read-whole.ts";
import type { ObjectReader } from "./stores/store.ts";

/** What a keyring object says in the clear, once it is opened. */
export interface KeyDescription {
  readonly ownerId: string;
  readonly createdAt: string;
  /** Path of the mailbox below the mail root, as bytes in latin1; absent for the host's own keys. */
  readonly mailbox?: string;
  readonly address?: string;
}

export interface OpenedKey extends KeyDescription {
  readonly identity: Identity;
}

/** The plaintext of a keyring object: an age identity file. */
export function formatKey(identity: Identity, { ownerId, createdAt, mailbox, address }: KeyDescription): string {
  const lines = [
    "# mailark-key: 1",
    `# created: ${createdAt}`,
    `# owner: ${ownerId}`,
    ...(mailbox === undefined ? [] : [`# mailbox: ${escapeName(mailbox)}`]),
    ...(address === undefined ? [] : [`# address: ${escapeName(Buffer.from(address).toString("latin1"))}`]),
    `# public key: ${recipientOf(identity)}`,
    identity,
  ];
  return `${lines.join("\n")}\n`;
}

/**
 * @throws MailarkError `OBJECT_CORRUPT` when it is not the plaintext of a keyring object.
 */
export function parseKey(text: string): OpenedKey {
  const said = new Map([...text.matchAll(/^# ([a-z -]+): (.*)$/gm)].map(([, word, value]) => [word, value!]));
  const identity = identityIn(text);
  const ownerId = said.get("owner");
  if (said.get("mailark-key") !== "1" || identity === undefined || ownerId === undefined) {
    throw new MailarkError("OBJECT_CORRUPT", "not a key of the keyring");
  }
  const mailbox = said.get("mailbox");
  const address = said.get("address");
  return {
    identity,
    ownerId,
    createdAt: said.get("created") ?? "",
    ...(mailbox !== undefined && { mailbox: unescapeName(mailbox) }),
    ...(address !== undefined && { address: Buffer.from(unescapeName(address), "latin1").toString() }),
  };
}

function identityIn(text: string): Identity | undefined {
  try {
    const [identity, ...more] = parseIdentities(text);
    return more.length === 0 ? identity : undefined;
  } catch (cause) {
    throw new MailarkError("OBJECT_CORRUPT", "not a key of the keyring", { cause });
  }
}

/** Opens what a host stored, with the keys that the holder of `identities` can open. */
export class Keyring {
  readonly #reader: ObjectReader;
  readonly #hostId: string;
  readonly #identities: readonly Identity[];
  readonly #open: (file: Uint8Array) => Buffer;
  readonly #opened = new Map<string, Promise<OpenedKey>>();
  readonly #openers = new Map<string, (file: Uint8Array) => Buffer>();

  /**
   * @param identities the recovery key or the drill key.
   */
  constructor(reader: ObjectReader, hostId: string, identities: readonly Identity[]) {
    this.#reader = reader;
    this.#hostId = hostId;
    this.#identities = identities;
    this.#open = opener(identities);
  }

  /**
   * One key of the keyring.
   *
   * @throws MailarkError `OBJECT_MISSING` when it was erased or never stored, `DECRYPTION_FAILED` when it was not sealed to
   *   these identities.
   */
  key(ownerId: string, keyId: string): Promise<OpenedKey> {
    const objectKey = keyringKey(this.#hostId, ownerId, keyId);
    let opened = this.#opened.get(objectKey);
    if (opened === undefined) {
      opened = this.#openKey(objectKey, ownerId, keyId);
      this.#opened.set(objectKey, opened);
      opened.catch(() => this.#opened.delete(objectKey));
    }
    return opened;
  }

  /** What decrypts the segments that were sealed to that key. Throws as {@link key} does. */
  async opener(ownerId: string, keyId: string): Promise<(file: Uint8Array) => Buffer> {
    const name = `${ownerId}/${keyId}`;
    let open = this.#openers.get(name);
    if (open === undefined) {
      const { identity } = await this.key(ownerId, keyId);
      open = opener(ownerId === hostOwner ? [identity, ...this.#identities] : [identity]);
      this.#openers.set(name, open);
    }
    return open;
  }

  /** Names of all keys in the keyring of the host. */
  async *list(): AsyncGenerator<{ ownerId: string; keyId: string }> {
    const prefix = keyringPrefix(this.#hostId);
    for await (const row of this.#reader.list(prefix)) {
      if (!("key" in row)) continue;
      const [ownerId = "", file = ""] = row.key.slice(prefix.length).split("/");
      yield { ownerId, keyId: file.replace(/\.age$/, "") };
    }
  }

  async #openKey(objectKey: string, ownerId: string, keyId: string): Promise<OpenedKey> {
    const sealed = await readWhole(this.#reader, objectKey, 64 * 1024).catch((cause) => {
      if (!(cause instanceof MailarkError) || cause.code !== "OBJECT_MISSING") throw cause;
      throw new MailarkError("OBJECT_MISSING", `the key ${objectKey} is not in the keyring`, {
        hint: "if it was erased on request, what only it opened is gone; else copy keyring/ from another copy of the store",
        cause,
      });
    });
    const opened = parseKey(this.#unseal(sealed, objectKey).toString("utf8"));
    if (opened.ownerId === ownerId && keyIdOf(recipientOf(opened.identity)) === keyId) return opened;
    throw new MailarkError("OBJECT_CORRUPT", `the keyring object holds the key of another: ${objectKey}`);
  }

  #unseal(sealed: Buffer, objectKey: string): Buffer {
    try {
      return this.#open(sealed);
    } catch (cause) {
      throw new MailarkError("DECRYPTION_FAILED", `the identity does not open ${objectKey}`, {
        hint: "give the recovery key of this host, as printed on its recovery sheet, with --identity",
        cause,
      });
    }
  }
}
