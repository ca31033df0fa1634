import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** Paths of everything that git knows, from the top of the repository. */
export function trackedFiles(): string[] {
  const listed = execFileSync("git", ["ls-files", "-z"], { cwd: repository, encoding: "utf8" });
  return listed.split("\0").filter((path) => path !== "" && existsSync(join(repository, path)));
}

export interface SourceFile {
  readonly path: string;
  readonly lines: number;
  /** Without comments. */
  readonly code: string;
  readonly imports: readonly Import[];
}

export interface Import {
  /** As written, or for a file of the house its path from the top. */
  readonly target: string;
  readonly inHouse: boolean;
  /** Only types: gone before it runs. */
  readonly typeOnly: boolean;
  /** What stands between `import` and `from`. */
  readonly names: string;
}

export function sourceFiles(): SourceFile[] {
  return trackedFiles()
    .filter((path) => /\.[cm]?[jt]s$/.test(path))
    .map((path) => {
      const text = readFileSync(join(repository, path), "utf8");
      const code = withoutComments(text);
      return { path, lines: text.split("\n").length - 1, code, imports: importsOf(path, code) };
    });
}

/** Good enough for imports and calls: a `//` that follows a colon is a URL's. */
export function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:\\"'`])\/\/.*$/gm, "$1");
}

export function importsOf(path: string, code: string): Import[] {
  const statements = code.matchAll(
    /(?:^|[;}\n])\s*(?:import|export)\s+(type\s+)?(?:([\w$*{}\s,]+?)\s*from\s*)?["']([^"'\n]+)["']/g,
  );
  const calls = code.matchAll(/\b(?:import|require)\s*\(\s*["'`]([^"'`\n]+)["'`]/g);
  return [
    ...[...statements].map(([, type, names = "", specifier = ""]) => ({
      ...resolved(path, specifier),
      typeOnly: type !== undefined,
      names,
    })),
    ...[...calls].map(([, specifier = ""]) => ({ ...resolved(path, specifier), typeOnly: false, names: "" })),
  ];
}

function resolved(path: string, specifier: string): Pick<Import, "target" | "inHouse"> {
  const inHouse = specifier.startsWith(".");
  return { target: inHouse ? normalize(join(dirname(path), specifier)) : specifier, inHouse };
}
