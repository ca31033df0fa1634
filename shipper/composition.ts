/**
 * The composition root of the host program: the one place where ports meet the machine, and names meet what bears them.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BreakGlass } from "../core/break-glass.ts";
import { MailarkError } from "../core/errors.ts";
import { type ComponentName, componentNames } from "../core/keys.ts";
import { type Clock, systemClock } from "../core/ports/clock.ts";
import { type Files, nodeFiles } from "../core/ports/files.ts";
import { bandwidthLimit, type Pace } from "../core/stores/bandwidth.ts";
import { deferredStore } from "../core/stores/deferred.ts";
import { dividedStore } from "../core/stores/divided.ts";
import { fileStore } from "../core/stores/file.ts";
import { persist, type RetryOptions, withRetries } from "../core/stores/retry.ts";
import type { S3RequestsOptions } from "../core/stores/s3-requests.ts";
import type { S3Place } from "../core/stores/s3-url.ts";
import type { ObjectEraser, ObjectReader, ObjectReplacer, ObjectWriter } from "../core/stores/store.ts";
import type { UsageMeter } from "../core/stores/usage.ts";
import type { CallerId } from "./caller-id.ts";
import { certsComponent } from "./components/certs/component.ts";
import type { Component } from "./components/component.ts";
import { configsComponent } from "./components/configs/component.ts";
import { mailComponent } from "./components/mail/component.ts";
import { mailConfig } from "./components/mail/config.ts";
import { mysqlComponent } from "./components/mysql/component.ts";
import { mysqlConfigSchema } from "./components/mysql/config.ts";
import { postgresComponent } from "./components/postgres/component.ts";
import { postgresConfigSchema } from "./components/postgres/config.ts";
import { queueComponent } from "./components/queue/component.ts";
import { queueConfigSchema } from "./components/queue/config.ts";
import { redisComponent } from "./components/redis/component.ts";
import { redisConfigSchema } from "./components/redis/config.ts";
import { type ComponentConfigs, type Config, stateDirectoryOf } from "./config.ts";
import { nodeProcesses, type Processes } from "./processes.ts";
import { readText } from "./state-files.ts";
import { placeOf, storeIdentity } from "./store-url.ts";
import { toldApart } from "./stores/told-apart.ts";

/** The ways to the machine. */
export interface Ports {
  readonly files: Files;
  readonly processes: Processes;
  readonly clock: Clock;
}

/** What commands are made of. */
export interface Composition extends Ports {
  /** A store by its URL. Throws `ARGUMENT_INVALID` for a URL of no known kind. */
  openStore(url: string, options?: OpenStoreOptions): Store;
  /** What erases in a store, for `prune` alone. Throws as {@link openStore}. */
  openEraser(url: string, options?: Patience): ObjectEraser;
  /** What the probe tries to replace with; `undefined` for a directory, where a thief needs no store for that. Throws as {@link openStore}. */
  openReplacer(url: string, options?: Patience): ObjectReplacer | undefined;
  /** A component as configured or, without a configuration, as far as a restore into a directory needs it. */
  component(name: ComponentName, configs?: ComponentConfigs): Component;
  /** Throws as {@link CallerId} where AWS does not say it in spite of the retries. */
  readonly callerId: CallerId;
  /** Read from this program's own package. */
  breakGlass(): BreakGlass;
}

/** For stores over the network, which fail for a while and share a line. */
export interface OpenStoreOptions {
  /** Bytes a second, of all stores together that are opened with the same limit. Default: as fast as it goes. */
  readonly bandwidthLimit?: number | undefined;
  /** How often what fails for a while is asked. Default: as a backup has to, for minutes. */
  readonly tries?: RetryOptions["tries"];
  /** Told of each failure after which the store is asked again. */
  readonly failed?: RetryOptions["failed"];
  /** Told of each request over the network. */
  readonly meter?: UsageMeter | undefined;
}

/** A store as commands use it. */
export interface Store extends ObjectReader, ObjectWriter {
  /** Whether the place is there at all: a disk that is not mounted is not an empty store. */
  exists(): boolean;
}

/** The real ones; a test replaces single ports. */
export const machine: Ports = { files: nodeFiles, processes: nodeProcesses, clock: systemClock };

/** Builds everything on these ports. */
export function compose(ports: Ports): Composition {
  const { files, clock } = ports;
  const paces = new Map<number, Pace>();
  return {
    ...ports,

    openStore(url, { bandwidthLimit: limit, ...how } = {}) {
      const { directory } = placeOf(url);
      const exists = () =>
        directory === undefined || (files.statSync(directory, { throwIfNoEntry: false })?.isDirectory() ?? false);
      return { ...storeAt(url, ports, { ...how, pace: limit === undefined ? undefined : paceOf(limit) }), exists };
    },

    openEraser(url, options) {
      const { erase } = storeAt(url, ports, options);
      return { erase };
    },

    openReplacer(url, patience) {
      const { s3 } = placeOf(url);
      if (s3 === undefined) return undefined;
      const { replace } = s3At(s3);
      return {
        replace: (key, body, { signal } = {}) =>
          persist(retrying(ports, patience), signal, () => replace(key, body, { ...(signal && { signal }) })),
      };
    },

    component(name, configs) {
      const make = factories[name];
      if (make !== undefined) return make(configs);
      throw new MailarkError("COMPONENT_UNKNOWN", `this version can not capture or restore ${name} yet`, {
        hint: `it knows ${Object.keys(factories).join(", ")}`,
      });
    },

    callerId: (region, signal) => callerIdWith(ports, region, signal),

    breakGlass: () => ({
      "restore.sh": ownFile(files, "./break-glass/restore.sh"),
      "format.md": ownFile(files, "../docs/format.md"),
    }),
  };

  /** All stores share the line. */
  function paceOf(bytesPerSecond: number): Pace {
    const pace = paces.get(bytesPerSecond) ?? bandwidthLimit(bytesPerSecond, clock);
    paces.set(bytesPerSecond, pace);
    return pace;
  }
}

function storeAt(url: string, ports: Ports, { tries, failed, ...how }: S3RequestsOptions & Patience = {}) {
  const { s3, directory } = placeOf(url);
  if (directory !== undefined) return fileStore(directory, ports);
  const open = (bucket: string) => withRetries(s3At({ ...s3, bucket }, how), retrying(ports, { tries, failed }));
  const { bucket, keyringBucket, hostId, region } = s3;
  const store = keyringBucket === undefined ? open(bucket) : dividedStore(open(bucket), open(keyringBucket));
  return hostId === "sts" ? toldApart(store, (signal) => callerIdWith(ports, region, signal)) : store;
}

function callerIdWith(ports: Ports, region: string, signal: AbortSignal | undefined): Promise<string> {
  return persist(retrying(ports), signal, async () => (await import("./caller-id.ts")).callerId(region, signal));
}

function s3At(place: S3Place, how?: S3RequestsOptions) {
  return deferredStore(async () => (await import("../core/stores/s3.ts")).s3Store(place, how));
}

type Patience = Pick<RetryOptions, "tries" | "failed">;
const retrying = ({ clock }: Ports, patience?: Patience) => ({ clock, random: Math.random, ...patience });

const factories: Partial<Record<ComponentName, (configs?: ComponentConfigs) => Component>> = {
  certs: (configs) => certsComponent(configs?.certs),
  configs: (configs) => configsComponent(configs?.configs),
  mail: (configs) => mailComponent(configs?.mail ?? mailConfig.parse({ root: "/var/vmail" })),
  mysql: (configs) => mysqlComponent(configs?.mysql ?? mysqlConfigSchema.parse({})),
  postgres: (configs) => postgresComponent(configs?.postgres ?? postgresConfigSchema.parse({})),
  queue: (configs) => queueComponent(configs?.queue ?? queueConfigSchema.parse({})),
  redis: (configs) => redisComponent(configs?.redis ?? redisConfigSchema.parse({})),
};

/** Names of the components that a configuration has, in the order of capture. */
export const configuredNames = ({ components }: Config): ComponentName[] =>
  componentNames.filter((name) => components[name as keyof ComponentConfigs] !== undefined);

/** Where what is remembered of one store is. */
export function stateDirectory(config: Config, store: string): string {
  return stateDirectoryOf(config, createHash("sha256").update(storeIdentity(store)).digest("hex"));
}

/** Held by whatever writes to stores or to this host: one at a time. */
export const lockPath = (config: Config): string => join(config.state, "lock");

/** Where it is remembered how much each component stored the last time. */
export const sizesPath = (config: Config): string => join(config.state, "sizes.json");

/** Where it is remembered what one store lacks of what another has. */
export const backlogPath = (config: Config): string => join(config.state, "backlog.json");

/** Who ran what. */
export const auditPath = (config: Config): string => config.audit ?? join(config.state, "audit.jsonl");

/** Where a restore of everything writes down how far it is. */
export const journalPath = (config: Config): string => join(config.state, "restore.json");

function ownFile(files: Files, path: string): Buffer {
  const text = readText(files, fileURLToPath(new URL(path, import.meta.url)));
  if (text !== undefined) return Buffer.from(text);
  throw new MailarkError("INTERNAL", `this installation of mailark lacks ${path}`, { hint: "install it again" });
}
