import { leashed } from "../elsewhere.ts";
import { parentsOf } from "./vet.ts";

/** Where files are captured from. */
export interface TreeSource {
  /** Absolute paths. */
  readonly paths: readonly string[];
  /** Names, or paths with wildcards, as GNU tar's `--exclude` takes them. */
  readonly exclude?: readonly string[] | undefined;
  /** Put before every program. */
  readonly command: readonly string[];
  readonly stallSeconds: number;
}

/** Makes one archive. */
export interface CreateCommand {
  readonly words: readonly [string, ...string[]];
  /** Whether it is that of the directories above the paths, without what is in those. */
  readonly isAbove: boolean;
}

/** A path as archives have it: bytes in latin1, below the root directory. */
export const archivePath = (path: string): string =>
  Buffer.from(path, "utf8")
    .toString("latin1")
    .replace(/\/+/g, "/")
    .replace(/^\/|\/$/g, "");

/** Paths that are not below another one of them, sorted. */
export function topmost(paths: readonly string[]): string[] {
  // As an archive sorts: name by name.
  const all = [...new Set(paths)].sort((a, b) => (a.replaceAll("/", "\0") < b.replaceAll("/", "\0") ? -1 : 1));
  return all.filter((path) => !parentsOf(path).some((parent) => all.includes(parent)));
}

/**
 * The archives that together hold the paths. First the directories that they are below, without what else is in those: a restore makes them with
 * their owners and modes where they are missing. Then each path by itself: asked for several at once, tar takes every inode that it sees again
 * for a hard link, also one that a rename or another file got since, and stores the link instead of the file. Names are in byte order, and no
 * time is that of the reading.
 */
export function createCommands({ paths, exclude = [], command }: TreeSource, top = "/"): CreateCommand[] {
  const roots = topmost(paths.map((path) => path.replace(/\/+/g, "/").replace(/^\/|\/$/g, "")));
  const parents = [...new Set(roots.flatMap(parentsOf))].sort();
  const create = (...what: string[]) =>
    leashed(command, [
      ...tar,
      "--create",
      "--file=-",
      "--format=pax",
      "--pax-option=delete=atime,delete=ctime",
      "--sort=name",
      "--sparse",
      "--xattrs",
      "--xattrs-include=user.*",
      "--acls",
      "--warning=no-file-ignored",
      "--quoting-style=escape",
      "--wildcards",
      ...exclude.map((pattern) => `--exclude=${pattern}`),
      `--directory=${top}`,
      ...what,
    ]);
  const above = create("--no-recursion", ...parents.map((path) => `--add-file=${path}`));
  return [
    ...(parents.length > 0 ? [{ words: above, isAbove: true }] : []),
    ...roots.map((path) => ({ words: create(`--add-file=${path}`), isAbove: false })),
  ];
}

/** In this language names pass as bytes, and remarks can be read. */
const tar = ["env", "LC_ALL=C", "tar"] as const;

export function versionCommand(command: readonly string[]): [string, ...string[]] {
  return [...command, ...tar, "--version"] as unknown as [string, ...string[]];
}

/** Prints a zero byte for each socket, which no archive can hold. */
export function socketsCommand({ paths, command }: TreeSource): [string, ...string[]] {
  return [...command, "find", ...paths, "-type", "s", "-printf", "\\0"] as unknown as [string, ...string[]];
}

/** Extracts an archive from its standard input into an empty directory. */
export function extractCommand(
  directory: string,
  { owners, numeric }: { readonly owners: boolean; readonly numeric: boolean },
): [string, ...string[]] {
  return [
    ...tar,
    "--extract",
    "--file=-",
    `--directory=${directory}`,
    "--same-permissions",
    owners ? "--same-owner" : "--no-same-owner",
    ...(numeric ? ["--numeric-owner"] : []),
    "--xattrs",
    "--xattrs-include=user.*",
    "--acls",
    "--delay-directory-restore",
    "--keep-old-files",
    "--quoting-style=escape",
    "--warning=no-timestamp",
  ];
}
