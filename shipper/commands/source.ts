/**
 * Where a command reads from, and whom it believes: the configuration of this host, or a store that the operator names, on any machine.
 */
import { listHosts } from "../../core/catalog.ts";
import { readTrust, type Trust } from "../../core/enrolment.ts";
import { asMailarkError, exitCodes, MailarkError } from "../../core/errors.ts";
import { patterns } from "../../core/keys.ts";
import type { Verifier } from "../../core/signed-document.ts";
import type { ObjectReader } from "../../core/stores/store.ts";
import type { Store } from "../composition.ts";
import { type Config, readConfig, readSigner } from "../config.ts";
import { withoutPassword } from "../store-url.ts";
import type { CommandContext } from "./command.ts";
import { openStore } from "./open-store.ts";

/** How the operator names a store and a host, on top of the configuration or without one. */
export interface SourceOptions {
  readonly store?: string;
  readonly host?: string;
  /** 64 hex digits each; as the recovery sheet or openssl write them. */
  readonly fingerprint?: readonly string[];
}

/** A store, as the operator or the configuration names it. */
export interface NamedStore {
  readonly url: string;
  readonly reader: ObjectReader;
  readonly config: Config | undefined;
}

/** One host of a store, and whose signatures count for it. */
export interface Source extends NamedStore {
  readonly hostId: string;
  readonly trust: Trust;
  readonly trusted: readonly Verifier[];
  /** The operator, or this host's own key, vouches for the trusted keys. */
  readonly pinned: boolean;
  /** Why this host's own key does not vouch for itself, where it is this host. */
  readonly keyFailure?: MailarkError;
}

/** What a command says of itself. */
interface OpenOptions {
  /** The configuration is among what it brings back: a file that was named needs not be there yet. */
  readonly beforeConfig?: boolean;
}

/**
 * @throws MailarkError `CONFIG_MISSING` when there is neither a configuration nor a store, `STORE_UNREACHABLE` when its place is not there.
 */
export function openNamedStore(
  context: CommandContext,
  { store: named }: SourceOptions,
  { beforeConfig = false }: OpenOptions = {},
): NamedStore {
  const config = configOf(context, named !== undefined, beforeConfig);
  const url = named ?? config?.store;
  if (url === undefined) throw new MailarkError("INTERNAL", "neither a configuration nor a store");
  try {
    return { url, reader: reachable(openStore(context, url, config), url), config };
  } catch (error) {
    throw named === undefined ? withOthers(error, config) : error;
  }
}

/**
 * @throws as {@link openNamedStore}; `ARGUMENT_INVALID` when the host must be named; `SIGNER_UNTRUSTED` when nobody is to be believed.
 */
export async function openSource(
  context: CommandContext,
  options: SourceOptions,
  opening: OpenOptions = {},
): Promise<Source> {
  const fingerprints = options.fingerprint?.map(fingerprintOf);
  if (options.host !== undefined && !patterns.hostId.test(options.host)) throw notHostId(options.host);
  const named = openNamedStore(context, options, opening);
  const { hostId, own, keyFailure, trust } = await trustIn(named).catch((error) => {
    throw options.store === undefined ? withOthers(error, named.config) : error;
  });
  const trusted = trust.keys.map(({ verifier }) => verifier);
  return { ...named, hostId, trust, trusted, pinned: own !== undefined, ...(keyFailure && { keyFailure }) };

  async function trustIn(store: NamedStore) {
    const hostId = options.host ?? (await hostOf(store));
    const { own, keyFailure } = fingerprints ? { own: fingerprints } : ownFingerprint(context, store.config, hostId);
    return { hostId, own, keyFailure, trust: await readTrust(store.reader, hostId, own) };
  }
}

/** Where the first store can not be read, the others of the configuration have the same. */
function withOthers(thrown: unknown, config: Config | undefined): MailarkError {
  const error = asMailarkError(thrown);
  const others = config?.stores.slice(1).map(({ url }) => `--store ${withoutPassword(url)}`) ?? [];
  if (others.length === 0 || error.exitCode !== exitCodes.unreachable) return error;
  const { code, message, detail, retryable, cause } = error;
  const hint = `${error.hint === undefined ? "" : `${error.hint}; or `}read another store of this host: ${others.join(" or ")}`;
  return new MailarkError(code, message, { hint, retryable, cause, ...(detail !== undefined && { detail }) });
}

/** Says once what is not proven. */
export function warnUnlessPinned({ reporter }: CommandContext, { pinned, trust }: Source): void {
  if (pinned) return;
  const found = trust.keys.map(({ verifier }) => verifier.fingerprint);
  reporter.warn(
    "nothing proves that this store was written by your host and nobody else",
    [
      "compare with the fingerprint on the recovery sheet, and give that one with --fingerprint:",
      ...found.map((fingerprint) => `  ${fingerprint}`),
    ].join("\n"),
  );
}

/** Only a configuration that the operator named must be right where a store is named as well: a rescue does not wait for YAML. */
function configOf(
  { composition, reporter, configPath, configNamed }: CommandContext,
  optional: boolean,
  beforeConfig: boolean,
): Config | undefined {
  try {
    return readConfig(composition.files, configPath);
  } catch (thrown) {
    const error = asMailarkError(thrown);
    const comesLater = beforeConfig && error.code === "CONFIG_MISSING";
    if (!optional || (configNamed && !comesLater)) throw error;
    if (error.code !== "CONFIG_MISSING") reporter.warn(`the configuration is not used: ${error.message}`, error.detail);
    return undefined;
  }
}

/** @throws MailarkError `STORE_UNREACHABLE` when the place of the store is not there. */
export function reachable(store: Store, url: string): Store {
  if (store.exists()) return store;
  throw new MailarkError("STORE_UNREACHABLE", "there is no store at this place", {
    detail: withoutPassword(url),
    hint: "mount the disk that it is on, or check the path",
  });
}

async function hostOf({ reader, config, url }: NamedStore): Promise<string> {
  const hosts = await listHosts(reader);
  if (config && (hosts.includes(config.host.id) || config.stores.some((each) => each.url === url)))
    return config.host.id;
  if (hosts.length === 1) return hosts[0]!;
  throw new MailarkError(
    "ARGUMENT_INVALID",
    hosts.length === 0 ? "the store holds nothing of any host" : `the store holds ${hosts.length} hosts`,
    {
      detail: hosts.length === 0 ? withoutPassword(url) : hosts.join("\n"),
      hint:
        hosts.length === 0
          ? "check the path: the store is the directory that has `hosts` and `keyring` in it"
          : "say which one with --host; `mailark list --hosts` shows their names",
    },
  );
}

/** This host vouches for its own key. Whoever may not read it, reads unpinned; a disk that fails is told. */
function ownFingerprint(
  { composition }: CommandContext,
  config: Config | undefined,
  hostId: string,
): { own?: string[]; keyFailure?: MailarkError } {
  if (config?.host.id !== hostId) return {};
  try {
    return { own: [readSigner(composition.files, config).fingerprint] };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") return { keyFailure: asMailarkError(error) };
    throw error;
  }
}

function fingerprintOf(given: string): string {
  const plain = given.replace(/[\s:]/g, "").toLowerCase();
  if (patterns.sha256.test(plain)) return plain;
  throw new MailarkError("ARGUMENT_INVALID", `not a fingerprint: ${JSON.stringify(given)}`, {
    hint: "a fingerprint is 64 hex digits, as on the recovery sheet",
  });
}

const notHostId = (given: string) =>
  new MailarkError("ARGUMENT_INVALID", `not a host id: ${JSON.stringify(given)}`, {
    hint: "host ids look like h-3f9c51d07a; `mailark list --hosts` shows those of a store",
  });
