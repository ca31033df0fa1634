/** What a figure was measured on: without it the figure says nothing. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, freemem, loadavg, release, tmpdir, totalmem } from "node:os";

/** Names and what they are, as of now. */
export function machineFacts(programs: readonly string[]): [name: string, value: string][] {
  return [
    ["processor", `${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}`],
    ["memory", `${gigabytes(totalmem())} GB, ${gigabytes(freemem())} GB free`],
    ["system", `Linux ${release()}, ${tmpdir()} on ${fileSystemOf(tmpdir())}`],
    ["load before", loadText()],
    ["node", `${process.version}, zstd ${process.versions.zstd}, OpenSSL ${process.versions.openssl}`],
    ...programs.map((program): [string, string] => [program, versionOf(program)]),
  ];
}

/** The load averages of the last 1, 5 and 15 minutes. */
export function loadText(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(" ");
}

const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);

/** The type of the file system with the longest mount point above the path. */
function fileSystemOf(path: string): string {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, point = " "]) => `${path}/`.startsWith(point === "/" ? "/" : `${point}/`));
  return mounts.toSorted(([, a = ""], [, b = ""]) => b.length - a.length)[0]?.[2] ?? "unknown";
}

/** The first line of what it says; of OpenSSL in its own way. */
function versionOf(program: string): string {
  const word = program === "openssl" ? "version" : "--version";
  try {
    const said = execFileSync(program, [word], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    return said.trim().split("\n", 1)[0]!;
  } catch {
    return "not there, or without a version";
  }
}
