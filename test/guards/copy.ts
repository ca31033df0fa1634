import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, lstatSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Copies a repository as git sees it, new files too, with the modules of the original. What the tests' runner remembers stays in the
 * copy: only single modules are links.
 */
export function copyRepository(from: string, to: string): void {
  const listed = execFileSync("git", ["ls-files", "-coz", "--exclude-standard"], { cwd: from, encoding: "utf8" });
  for (const path of new Set(listed.split("\0"))) {
    // A link to modules elsewhere is not ignored as the directory is; links and nested repositories are no part of the product.
    if (path === "" || !lstatSync(join(from, path), { throwIfNoEntry: false })?.isFile()) continue;
    mkdirSync(dirname(join(to, path)), { recursive: true });
    copyFileSync(join(from, path), join(to, path));
  }
  const modules = join(to, "node_modules");
  mkdirSync(modules);
  for (const name of readdirSync(join(from, "node_modules"))) {
    if (name === ".bin" || !name.startsWith(".")) symlinkSync(join(from, "node_modules", name), join(modules, name));
  }
}

/** A directory for temporary files that every user may pass through: some servers do not run as root. */
export function makeTemporary(path: string): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o1777);
}
