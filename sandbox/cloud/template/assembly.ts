import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A JSON value of a template, intrinsic functions and all. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** A stack as it was synthesized. */
export interface SynthesizedStack {
  readonly name: string;
  readonly account: string;
  readonly region: string;
  readonly template: { readonly [section: string]: Json };
}

interface Manifest {
  readonly artifacts: Readonly<
    Record<
      string,
      {
        readonly type: string;
        readonly environment?: string;
        readonly dependencies?: readonly string[];
        readonly displayName?: string;
        readonly properties?: {
          readonly templateFile?: string;
          readonly stackName?: string;
          readonly parameters?: object;
        };
      }
    >
  >;
}

/**
 * The stacks that the CDK has written into a directory (`cdk.out`), each behind those that it depends on.
 *
 * @throws Error where the manifest has what this reader does not know: a stack in no particular account or region,
 *   a nested assembly, a kind of artifact.
 */
export function readAssembly(directory: string): readonly SynthesizedStack[] {
  const { artifacts } = JSON.parse(readFileSync(join(directory, "manifest.json"), "utf8")) as Manifest;
  const ordered: SynthesizedStack[] = [];
  const seen = new Set<string>();
  const visit = (id: string) => {
    if (seen.has(id)) return;
    seen.add(id);
    const artifact = artifacts[id];
    if (artifact === undefined) throw new Error(`manifest.json: nothing is called ${id}`);
    for (const each of artifact.dependencies ?? []) visit(each);
    if (passedOver.includes(artifact.type)) return;
    if (artifact.type !== "aws:cloudformation:stack") throw new Error(`manifest.json: ${id} is a ${artifact.type}`);
    const [, account, region] = /^aws:\/\/(\d{12})\/([a-z0-9-]+)$/.exec(artifact.environment ?? "") ?? [];
    const { templateFile, stackName, parameters = {} } = artifact.properties ?? {};
    if (account === undefined || region === undefined || templateFile === undefined) {
      throw new Error(`manifest.json: ${id} has no account, region or template of its own`);
    }
    if (Object.keys(parameters).length > 0) throw new Error(`manifest.json: ${id} has values of parameters`);
    const template = JSON.parse(readFileSync(join(directory, templateFile), "utf8"));
    ordered.push({ name: stackName ?? artifact.displayName ?? id, account, region, template });
  };
  for (const id of Object.keys(artifacts)) visit(id);
  return ordered;
}

/** What an assembly has besides stacks: files to upload, and what tools show of it. */
const passedOver = ["cdk:asset-manifest", "cdk:tree", "cdk:feature-flag-report"];
