/**
 * The configuration file of a host: one YAML document, read whole and strictly, so that a mistake is told before anything is done.
 */
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { keyIdOf } from "../core/age/age.ts";
import { MailarkError } from "../core/errors.ts";
import { patterns } from "../core/keys.ts";
import type { Files } from "../core/ports/files.ts";
import { retentionPolicySchema } from "../core/retention-policy.ts";
import { type Signer, signerOf } from "../core/signed-document.ts";
import { backgroundSchema } from "./background.ts";
import { byteQuantity } from "./byte-quantity.ts";
import { certsConfig } from "./components/certs/config.ts";
import { configsConfig } from "./components/configs/config.ts";
import { mailConfig } from "./components/mail/config.ts";
import { mysqlConfigSchema } from "./components/mysql/config.ts";
import { postgresConfigSchema } from "./components/postgres/config.ts";
import { queueConfigSchema } from "./components/queue/config.ts";
import { redisConfigSchema } from "./components/redis/config.ts";
import { parseYaml } from "./config-text.ts";
import { accountsConfigSchema } from "./consistency/config.ts";
import { servicesConfig } from "./restore/services.ts";
import { readText } from "./state-files.ts";
import { placeOf, storeIdentity } from "./store-url.ts";

/** Where a host's configuration is, unless `--config` or `MAILARK_CONFIG` say otherwise. */
export const defaultConfigPath = "/etc/mailark/config.yaml";
export const defaultStateDirectory = "/var/lib/mailark";

const absolutePath = z.string().startsWith("/", "must be an absolute path");
const storeUrl = z.string().superRefine((url, context) => explain(context, () => placeOf(url)));
const storeSection = z.strictObject({
  url: storeUrl,
  /** What `mailark prune` keeps in it. Without it nothing expires. */
  retention: retentionPolicySchema.optional(),
});
const recipient = z.string().superRefine((text, context) => explain(context, () => keyIdOf(text)));

const settings = z.strictObject({
  version: z.literal(1),
  host: z.strictObject({
    /** Storage identity: made by `init`, never changed. */
    id: z.string().regex(patterns.hostId, "must be 2 to 128 of A-Z a-z 0-9 . _ : - and start with a letter or digit"),
    /** For people. */
    name: z.string().min(1, "must not be empty"),
  }),
  /** URL of the store that is written to, where there is one. */
  store: storeUrl.optional(),
  /** Where there are several: the same is written to all; the first is the one that commands read. */
  stores: z
    .array(z.union([storeUrl, storeSection]))
    .min(1)
    .superRefine(refuseTwice)
    .optional(),
  /** Bytes a second that are sent to stores over the network, all together. */
  bandwidthLimit: byteQuantity.optional(),
  /** Public halves: whom keys are sealed to. */
  recovery: recipient,
  drill: recipient.optional(),
  /** PKCS #8 PEM of the key that manifests are signed with; relative to the configuration file. */
  signingKey: z.string().min(1).default("signing.pem"),
  /** Directory of what the program remembers between runs. Nothing in it is needed for a restore. */
  state: absolutePath.default(defaultStateDirectory),
  /** How far a backup and a verification step back behind what serves mail. */
  background: backgroundSchema.prefault({}),
  /** File that says who ran what. Default: `audit.jsonl` in the state directory. */
  audit: absolutePath.optional(),
  /** How this machine's services are stopped and started, for `restore --all`. */
  services: servicesConfig.optional(),
  /** Where the mail system's accounts are, for the consistency report of a run. Without it there is none. */
  accounts: accountsConfigSchema.optional(),
  /** Zstandard's level. */
  compressionLevel: z.int().min(1).max(19).default(3),
  components: z
    .strictObject({
      mail: mailConfig.optional(),
      mysql: mysqlConfigSchema.optional(),
      postgres: postgresConfigSchema.optional(),
      redis: redisConfigSchema.optional(),
      queue: queueConfigSchema.optional(),
      configs: configsConfig.optional(),
      certs: certsConfig.optional(),
    })
    .refine((components) => Object.keys(components).length > 0, "must name at least one component, such as mail"),
});

/** In the file, names are written with hyphens: `signing-key` is `signingKey` here. */
export const configSchema = settings
  .refine(({ store, stores }) => store !== undefined || stores !== undefined, {
    path: ["store"],
    error: "must be a text",
    when: () => true,
  })
  .refine(({ store, stores }) => store === undefined || stores === undefined, {
    path: ["stores"],
    error: "give store or stores, not both",
    when: () => true,
  });

/** One of the stores that a host writes to. */
export type StoreConfig = z.infer<typeof storeSection>;

/** A configuration that was read and found right. */
export interface Config extends Omit<z.infer<typeof configSchema>, "store" | "stores"> {
  /** Absolute path of the file that it was read from. */
  readonly path: string;
  /** All that are written to, the most important first; at least one, each another. */
  readonly stores: readonly StoreConfig[];
  /** URL of the first of them. */
  readonly store: string;
}

/** A section of `components`, by its name. */
export type ComponentConfigs = Config["components"];

/**
 * Reads a configuration file.
 *
 * @throws MailarkError `CONFIG_MISSING`; `CONFIG_INVALID` naming every mistake with line, column, key, value and fix, or what others can read or change.
 */
export function readConfig(files: Files, path: string): Config {
  const config = parseConfig(files, path);
  const { mode } = files.statSync(path);
  if (mode & 0o022) {
    throw new MailarkError("CONFIG_INVALID", "the configuration can be changed by other users", {
      detail: `${path} has mode ${octal(mode)}`,
      hint: `chmod 600 ${path}`,
    });
  }
  for (const { path, what } of passwordFilesOf(config)) refuseUnlessPrivate(files, path, what);
  return config;
}

/** The same, whoever can read or change it. Throws as {@link readConfig} does for the rest. */
export function parseConfig(files: Files, path: string): Config {
  const text = readText(files, path);
  if (text === undefined) {
    throw new MailarkError("CONFIG_MISSING", "there is no configuration file", {
      detail: path,
      hint: "`mailark init` writes one; to read a store without one, name it with --store file:///DIR",
    });
  }
  const parsed = parseYaml(text, path, configSchema);
  const stores = (parsed.stores ?? [parsed.store!]).map((each) => (typeof each === "string" ? { url: each } : each));
  const config = withOwnDirectory({ ...parsed, path, stores, store: stores[0]!.url });
  refuseStrayAccounts(config);
  return config;
}

/** The files of this machine that hold a password and nothing else. */
export function passwordFilesOf({ components }: Config): readonly { readonly path: string; readonly what: string }[] {
  const { mysql, postgres, redis } = components;
  const database = "the database's password file";
  return [
    { path: mysql?.passwordFile, what: database },
    { path: postgres?.passwordFile, what: database },
    { path: redis?.passwordFile, what: "the password file of Redis" },
  ].flatMap(({ path, what }) => (path === undefined ? [] : [{ path, what }]));
}

/** An empty host needs this program's own configuration before anything else: it is captured wherever configuration files are. */
function withOwnDirectory(config: Config): Config {
  const { configs } = config.components;
  const own = dirname(resolve(config.path));
  if (configs === undefined || own === "/" || configs.command.length > 0) return config;
  const paths = [...new Set([...configs.paths, own])];
  return { ...config, components: { ...config.components, configs: { ...configs, paths } } };
}

/**
 * The key that this host signs with.
 *
 * @throws MailarkError `CONFIG_INVALID` when others may read it, or there is none; `KEY_INVALID` when it is not one.
 */
export function readSigner(files: Files, config: Config): Signer {
  const path = signingKeyPath(config);
  refuseUnlessPrivate(files, path, "the signing key");
  const pem = readText(files, path);
  if (pem !== undefined) return signerOf(pem);
  throw new MailarkError("CONFIG_INVALID", "the signing key that the configuration names does not exist", {
    detail: path,
    hint: "put it back from the host's configuration; without it, move the configuration away and run `mailark init`",
  });
}

export const signingKeyPath = (config: Config): string => resolve(dirname(config.path), config.signingKey);

/** Accounts are asked of a server that a component names. */
function refuseStrayAccounts({ accounts, components, path }: Config): void {
  if (accounts === undefined || components[accounts.component] !== undefined) return;
  throw new MailarkError("CONFIG_INVALID", "the configuration asks for accounts where no component is configured", {
    detail: `${path}: accounts.component is "${accounts.component}"`,
    hint: `add ${accounts.component} to components, or remove the section accounts`,
  });
}

function refuseTwice(stores: readonly (string | StoreConfig)[], context: z.core.$RefinementCtx<unknown>): void {
  const urls = stores.map((each) => storeIdentity(typeof each === "string" ? each : each.url));
  for (const [index, url] of urls.entries()) {
    if (urls.indexOf(url) === index) continue;
    context.addIssue({ code: "custom", path: [index], message: "must be another store than those above" });
  }
}

/** Where the state of one store is: stores do not share it. */
export const stateDirectoryOf = (config: Config, sha256OfStore: string): string =>
  join(config.state, sha256OfStore.slice(0, 16));

/** @throws MailarkError `CONFIG_INVALID` when a file that is there can be read by others. */
export function refuseUnlessPrivate(files: Files, path: string, what: string): void {
  const mode = files.statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & 0o077) === 0) return;
  throw new MailarkError("CONFIG_INVALID", `${what} can be read by other users`, {
    detail: `${path} has mode ${octal(mode)}`,
    hint: `chmod 600 ${path}; whoever read it before can still use what it holds`,
  });
}

/** Turns what a check of ours throws into an issue, with its advice. */
function explain(context: z.core.$RefinementCtx<string>, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof MailarkError)) throw error;
    const message = error.hint ?? error.message;
    context.addIssue({ code: "custom", message });
  }
}

export const octal = (mode: number) => (mode & 0o7777).toString(8).padStart(4, "0");
