import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Import, importsOf, repository, type SourceFile, sourceFiles, trackedFiles } from "./source-files.ts";

const files = sourceFiles();
const folderOf = (path: string) => path.split("/")[0]!;
const within = (...folders: string[]) => files.filter(({ path }) => folders.includes(folderOf(path)));

interface Rule {
  readonly allowed: (imported: Import, importer: string) => boolean;
  readonly because: string;
}

const builtIn = ({ target }: Import) => target.startsWith("node:");
const inside =
  (...folders: string[]) =>
  ({ target, inHouse }: Import) =>
    inHouse && folders.includes(folderOf(target));
const packages =
  (...names: string[]) =>
  ({ target, inHouse }: Import) =>
    !inHouse && names.some((name) => target === name || target.startsWith(`${name}/`));
const any =
  (...rules: Rule["allowed"][]): Rule["allowed"] =>
  (imported, importer) =>
    rules.some((rule) => rule(imported, importer));

/** Who may import whom. What stands for a folder holds for everything below it. */
const rules: Record<string, Rule> = {
  core: {
    allowed: any(
      builtIn,
      inside("core"),
      packages("zod"),
      (imported, importer) => /^core\/stores\/s3(\.|-|\/)/.test(importer) && packages("@aws-sdk/client-s3")(imported),
    ),
    because:
      "it is the language that host and cloud share: a test, a function and a host must be able to load it alone",
  },
  shipper: {
    allowed: any(
      builtIn,
      inside("shipper", "core"),
      ({ target }) => target === "package.json",
      packages("execa", "tar", "zod", "yaml", "commander", "@aws-sdk/client-sts"),
    ),
    because:
      "it runs as root on mail hosts: every package there is one that can be attacked, and it knows no controller",
  },
  lambdas: {
    allowed: any(
      builtIn,
      inside("lambdas", "core"),
      packages("@middy", "@aws-lambda-powertools", "zod", "@aws-sdk"),
      (imported) => imported.typeOnly && packages("aws-lambda")(imported),
    ),
    because: "a function must not depend on what runs on a host, nor on how it is deployed",
  },
  infra: {
    allowed: any(
      builtIn,
      inside("infra"),
      packages("aws-cdk-lib", "constructs", "cdk-nag"),
      ({ target }) => target === "core/keys.ts",
    ),
    because: "it reaches handlers by their path; of core it needs only the names that both sides must agree on",
  },
  setup: {
    allowed: any(builtIn, inside("setup")),
    because: "it runs before anything is installed, on any Node from 20 on",
  },
};

describe("imports", () => {
  test.each(Object.entries(rules))("%s imports only what it may", (folder, { allowed, because }) => {
    const wrong = within(folder).flatMap(({ path, imports }) =>
      imports
        .filter((imported) => !allowed(imported, path))
        .map(({ target }) => `${path} imports ${target}; ${folder} must not: ${because}`),
    );
    expect(wrong).toEqual([]);
  });

  test("nothing imports sandbox, test or bench but those three: they are no part of the product", () => {
    const wrong = files
      .filter(({ path }) => !["sandbox", "test", "bench"].includes(folderOf(path)))
      .flatMap(({ path, imports }) =>
        imports.filter(inside("sandbox", "test", "bench")).map(({ target }) => `${path} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  test("have no cycle: a cycle is one idea in several files, or two in one", () => {
    expect(cycles(files)).toEqual([]);
  });

  test("name files that are there, with their ending", () => {
    const known = new Set(trackedFiles());
    const wrong = files
      .filter(({ path }) => folderOf(path) !== "test")
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ inHouse, target }) => inHouse && !known.has(target))
          .map(({ target }) => `${path}: ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  test("are found in every form they can have", () => {
    const code = [
      'import "a";',
      'import b from "b";',
      'import type { C } from "c";',
      'import {\n  d,\n  type D,\n} from "./d.ts";',
      'export * from "e";',
      'export type { F } from "../f.ts";',
      'const g = await import("g");',
      'import * as h from "h";',
    ].join("\n");
    const found = importsOf("core/stores/x.ts", code).map(({ target, inHouse, typeOnly }) =>
      [target, ...(inHouse ? ["in house"] : []), ...(typeOnly ? ["types"] : [])].join(", "),
    );
    expect(found).toEqual([
      "a",
      "b",
      "c, types",
      "core/stores/d.ts, in house",
      "e",
      "core/f.ts, in house, types",
      "h",
      "g",
    ]);
  });
});

describe("the ways to the world", () => {
  const product = within("core", "shipper");

  const only = (what: string, home: string, uses: (file: SourceFile) => boolean) =>
    product
      .filter((file) => file.path !== home && uses(file))
      .map(({ path }) => `${path} uses ${what}; only ${home} may, so that a test can make any single call fail`);
  const importsValueOf =
    (pattern: RegExp) =>
    ({ imports }: SourceFile) =>
      imports.some(({ target, typeOnly, names }) => !typeOnly && names !== "{ constants }" && pattern.test(target));

  test("the disk is reached through one file", () => {
    expect(only("node:fs", "core/ports/files.ts", importsValueOf(/^node:fs(\/|$)/))).toEqual([]);
  });

  test("other programs are reached through one file", () => {
    expect(only("a process", "shipper/processes.ts", importsValueOf(/^(node:child_process|execa)$/))).toEqual([]);
  });

  test("the time comes from one file", () => {
    const clock = /\bDate\.now\b|\bnew Date\(\s*\)|\bset(Timeout|Interval)\b|\bperformance\.now\b|["']node:timers/;
    expect(only("the machine's time", "core/ports/clock.ts", ({ code }) => clock.test(code))).toEqual([]);
  });

  test("are chosen in the composition roots alone", () => {
    const adapter = /\b(fileStore|s3Store|nodeFiles|nodeProcesses|systemClock)\b/;
    const homes = /^(core\/stores\/(file|s3)|core\/ports\/|shipper\/processes|shipper\/composition|lambdas\/runtime\/)/;
    const wrong = within("core", "shipper", "lambdas", "infra")
      .filter(({ path, code }) => !homes.test(path) && adapter.test(code))
      .map(
        ({ path, code }) => `${path} uses ${adapter.exec(code)![0]}; it must be given one by shipper/composition.ts`,
      );
    expect(wrong).toEqual([]);
  });
});

describe("the house", () => {
  test("has no rooms for odds and ends", () => {
    const odds = /(^|[/-])(utils?|helpers?|common|misc)([./-]|$)/;
    expect(trackedFiles().filter((path) => odds.test(path))).toEqual([]);
  });

  test("has no file with two ideas: over 350 lines", () => {
    const long = files
      .filter(({ path, lines }) => folderOf(path) !== "test" && lines > 350)
      .map(({ path, lines }) => `${path}: ${lines}`);
    expect(long).toEqual([]);
  });

  test("names its files in kebab case", () => {
    const wrong = files.filter(({ path }) => !path.split("/").every((part) => /^[a-z0-9.-]+$/.test(part)));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test("points to nothing outside itself", () => {
    const outside = /\.\.\/shared\b/;
    const wrong = trackedFiles().filter((path) => {
      const text = readFileSync(join(repository, path), "utf8");
      return text.includes(`${repository}/`) || text.includes(`${join(repository, "..")}/shared`) || outside.test(text);
    });
    expect(wrong).toEqual([]);
  });

  test("leaves no test out", () => {
    const left = /\b(test|it|describe|suite)(\.\w+)*\.(only|skip|todo)\b/;
    expect(within("test").flatMap(({ path, code }) => (left.test(code) ? [path] : []))).toEqual([]);
  });
});

/** Each cycle once, as the path around it. */
function cycles(all: readonly SourceFile[]): string[] {
  const targets = new Map(
    all.map(({ path, imports }) => [path, imports.filter(({ inHouse }) => inHouse).map(({ target }) => target)]),
  );
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      return;
    }
    if (done.has(path)) return;
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of targets.keys()) visit(path, []);
  return found;
}
