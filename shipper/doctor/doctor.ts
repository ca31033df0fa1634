/**
 * Looks at everything that a backup and a restore of this host need. What it writes is gone again, here and in each store where it may erase;
 * everything else is only read.
 */
import type { ComponentName } from "../../core/keys.ts";
import type { Signer } from "../../core/signed-document.ts";
import type { Component, World } from "../components/component.ts";
import { type Composition, configuredNames, type Store } from "../composition.ts";
import { type Config, readSigner } from "../config.ts";
import { placeOf, withoutPassword } from "../store-url.ts";
import { sizeText } from "../terminal/quantity.ts";
import { lookAtConfiguration, lookAtSecrets, lookAtState } from "./configuration.ts";
import { lookAtDrill } from "./drill.ts";
import { looked, obstacle } from "./looking.ts";
import { lookAtMachine } from "./machine.ts";
import { fine, type Observation, type OwnCommand, unproven } from "./observation.ts";
import { lookAtStore } from "./store.ts";
import { lookForTools } from "./tools.ts";

/** What can be looked at besides components. The configuration always is. */
export const parts = ["machine", "store", "drill"] as const;
export type Part = (typeof parts)[number] | ComponentName;

export interface DoctorOptions {
  readonly configPath: string;
  /** Default: everything. */
  readonly only: readonly Part[];
  /** Where a drill would be made. */
  readonly scratch: string;
  /** Opens a store as the configuration wants it used. */
  readonly open: (url: string, config: Config) => Store;
  /** Makes a command line of mailark for this configuration. */
  readonly own: OwnCommand;
}

/** What was seen of one part of the host. */
export interface Section {
  readonly about: string;
  readonly observations: readonly Observation[];
}

export interface Diagnosis {
  readonly hostId: string | undefined;
  readonly sections: readonly Section[];
}

/** @throws MailarkError only when interrupted. */
export async function examineHost(composition: Composition, options: DoctorOptions, world: World): Promise<Diagnosis> {
  const { files } = world;
  const wants = (part: Part) => options.only.length === 0 || options.only.includes(part);
  const { config, observations } = lookAtConfiguration(files, options.configPath);
  const machine = wants("machine")
    ? [{ about: "machine", observations: [...(await lookAtMachine(world)), ...(await lookAtControl(config, world))] }]
    : [];
  if (config === undefined) {
    const rest = unproven("everything else", "without a configuration nobody knows what to look at");
    return {
      hostId: undefined,
      sections: [{ about: "configuration", observations: [...observations, rest] }, ...machine],
    };
  }
  const own = [
    ...observations,
    ...(await looked("secrets", world, () => lookAtSecrets(files, config))),
    ...(await looked("state", world, () => lookAtState(files, config))),
  ];
  const sections: Section[] = [{ about: "configuration", observations: own }, ...machine];
  if (wants("store")) sections.push(...(await lookAtStores(composition, config, options, world)));
  const names = configuredNames(config).filter((name) => wants(name) || wants("drill"));
  const sizes: (number | undefined)[] = [];
  for (const name of names) {
    world.progress(name);
    const { observations, bytes } = await lookAtComponent(composition.component(name, config.components), world);
    sizes.push(bytes);
    if (wants(name)) sections.push({ about: name, observations });
  }
  if (wants("drill")) {
    world.progress("drill");
    const bytes = sizes.reduce((sum, each) => (sum === undefined || each === undefined ? undefined : sum + each), 0);
    sections.push({ about: "drill", observations: await lookAtDrill(options.scratch, bytes, world) });
  }
  return { hostId: config.host.id, sections };
}

/** What stops and starts services for a restore of everything. */
async function lookAtControl(config: Config | undefined, world: World): Promise<readonly Observation[]> {
  const [program] = config?.services?.control ?? [];
  if (program === undefined) return [];
  return lookForTools([{ names: [program], package: "what services.control names", for: "restore" }], [], world);
}

async function lookAtStores(
  composition: Composition,
  config: Config,
  { own, open }: DoctorOptions,
  world: World,
): Promise<Section[]> {
  const sections: Section[] = [];
  const components = configuredNames(config);
  const signer = signerOf(config, world);
  for (const [index, { url }] of config.stores.entries()) {
    world.progress("store");
    const observations = await looked("store", world, () =>
      lookAtStore({
        store: open(url, config),
        eraser: composition.openEraser(url),
        replacer: composition.openReplacer(url),
        url: withoutPassword(url),
        directory: placeOf(url).directory,
        config,
        signer,
        components,
        world,
        own,
      }),
    );
    sections.push({ about: config.stores.length === 1 ? "store" : `store ${index + 1}`, observations });
  }
  return sections;
}

/** What is wrong with the key was said before. */
function signerOf(config: Config, { files }: World): Signer | undefined {
  try {
    return readSigner(files, config);
  } catch {
    return undefined;
  }
}

/** @returns with the bytes that a capture would read; `undefined` where it could not begin. */
async function lookAtComponent(
  component: Component,
  world: World,
): Promise<{ readonly observations: readonly Observation[]; readonly bytes: number | undefined }> {
  const seen = await component.diagnose(world);
  try {
    const items = await component.estimate({ ...world, progress: () => {} });
    const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
    return { observations: [...seen, fine("content", `${sizeText(bytes)} to capture`)], bytes };
  } catch (thrown) {
    world.signal.throwIfAborted();
    return { observations: [...seen, obstacle("content", thrown)], bytes: undefined };
  }
}
