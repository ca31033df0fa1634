import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What a container has of the machine: programs, read-only; and who is who. Everything else in it is its own. */
export interface Skeleton {
  /** Becomes `/` of the container. */
  readonly root: string;
  /** Options of `podman run`. */
  readonly mounts: readonly string[];
}

/** Settings that programs need to run at all. None of a service. */
const settings = ["passwd", "group", "nsswitch.conf", "ld.so.cache", "alternatives", "postgresql-common", "services"];

const folders = ["bin", "sbin", "local/bin", "local/sbin"];

/**
 * Makes the root directory of a container out of the machine's own programs, so that no image is needed.
 *
 * @param without programs that are not in it, by name.
 */
export function makeSkeleton(directory: string, without: readonly string[] = []): Skeleton {
  const root = join(directory, "root");
  for (const path of [
    "usr",
    "proc",
    "sys",
    "dev",
    "etc",
    "run",
    "home",
    "root",
    "tmp",
    "var/tmp",
    "var/lib",
    "var/spool",
  ]) {
    mkdirSync(join(root, path), { recursive: true, mode: 0o755 });
  }
  for (const path of ["tmp", "var/tmp"]) chmodSync(join(root, path), 0o1777);
  symlinkSync("/run", join(root, "var/run"));
  for (const name of ["bin", "sbin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(root, name));
  for (const name of settings) {
    const from = join("/etc", name);
    if (existsSync(from)) cpSync(from, join(root, "etc", name), { recursive: true, verbatimSymlinks: true });
  }
  // A container has what its image has; its user's PATH finds PostgreSQL's programs, as in the official image.
  writeFileSync(join(root, "etc/hostname"), "container\n");
  return {
    root,
    mounts: ["--volume", "/usr:/usr:ro", ...folders.flatMap((name) => lacking(directory, name, without))],
  };
}

/** In place of a folder of programs: links to all of them but some. */
function lacking(directory: string, folder: string, without: readonly string[]): string[] {
  const names = existsSync(join("/usr", folder)) ? readdirSync(join("/usr", folder)) : [];
  if (!names.some((name) => without.includes(name))) return [];
  const links = join(directory, "without", folder);
  mkdirSync(links, { recursive: true });
  for (const name of names) if (!without.includes(name)) symlinkSync(join("/machine", folder, name), join(links, name));
  mkdirSync(join(directory, "root/machine", dirname(folder)), { recursive: true });
  return ["--volume", `/usr/${folder}:/machine/${folder}:ro`, "--volume", `${links}:/usr/${folder}:ro`];
}
