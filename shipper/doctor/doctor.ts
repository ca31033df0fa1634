/**
 * Looks at everything that a backup and a restore of this host need. What it writes is gone again, here and in each store where it may erase;
 * everything else is only read.
 */
import type { ComponentName } from "../../core/keys.ts";
import type { Signer } from "../../core/signed-document.ts";
import type { Component, World } from "../components/component.ts";
import { type Composition, configuredNames } from "../composition.ts";
import { type Config, readSigner } from "../config.ts";
import { shareOf } from "../free-space.ts";
import { placeOf, withoutPassword } from "../store-url.ts";
import { sizeText } from "../terminal/quantity.ts";
import { lookAtConfiguration, lookAtSecrets, lookAtState } from "./configuration.ts";
import { lookAtDrill } from "./drill.ts";
import { inTime, looked, obstacle, wasSilent } from "./looking.ts";
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
    const component = composition.component(name, config.components);
    const { observations, bytes } = await lookAtComponent(component, world);
    sizes.push(bytes === undefined ? undefined : bytes * shareOf(component, { kind: "scratch" }));
    if (wants(name)) sections.push({ about: name, observations });
  }
  if (wants("drill")) {
    world.progress("drill");
    const needed = sizes.reduce((sum, each) => (sum === undefined || each === undefined ? undefined : sum + each), 0);
    sections.push({ about: "drill", observations: await lookAtDrill(options.scratch, needed, world) });
  }
  return { hostId: config.host.id, sections };
}

/** What stops and starts services for a restore of everything. */
async function lookAtControl(config: Config | undefined, world: World): Promise<readonly Observation[]> {
  const [program] = config?.services?.control ?? [];
  if (program === undefined) return [];
  return lookForTools([{ names: [program], package: "what services.control names", for: "restore" }], [], world);
}

/** So often a store is asked before it counts as one that does not answer: a store may refuse one of two puts at the same moment for a while. */
const tries = 3;

async function lookAtStores(
  composition: Composition,
  config: Config,
  { own }: DoctorOptions,
  world: World,
): Promise<Section[]> {
  const sections: Section[] = [];
  const components = configuredNames(config);
  const signer = signerOf(config, world);
  for (const [index, { url }] of config.stores.entries()) {
    world.progress("store");
    const observations = await lookAtStore({
      store: composition.openStore(url, { tries }),
      eraser: composition.openEraser(url, { tries }),
      replacer: composition.openReplacer(url, { tries }),
      url: withoutPassword(url),
      directory: placeOf(url).directory,
      config,
      signer,
      components,
      world,
      own,
    });
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

/** An estimate looks at each file of a mail root, in milliseconds. */
const walkPatience = 15 * 60_000;

/** @returns with the bytes that a capture would read; `undefined` where it could not begin. */
async function lookAtComponent(
  component: Component,
  world: World,
): Promise<{ readonly observations: readonly Observation[]; readonly bytes: number | undefined }> {
  const seen = await component.diagnose(world);
  if (wasSilent(seen)) {
    return { observations: [...seen, unproven("content", "what was asked before did not answer")], bytes: undefined };
  }
  try {
    const items = await inTime({ ...world, progress: () => {} }, (world) => component.estimate(world), walkPatience);
    const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
    return { observations: [...seen, fine("content", `${sizeText(bytes)} to capture`)], bytes };
  } catch (thrown) {
    world.signal.throwIfAborted();
    return { observations: [...seen, obstacle("content", thrown)], bytes: undefined };
  }
}
