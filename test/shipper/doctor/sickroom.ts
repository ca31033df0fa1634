import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, vi } from "vitest";
import { type FindingCode, findingCodes } from "../../../shipper/doctor/observation.ts";
import { shellWord } from "../../../shipper/terminal/shell-word.ts";
import type { Circumstances, CommandLine } from "../../fixtures/command-line.ts";

/** One way in which a host can be ill. */
export interface Case<R extends Sickroom = Sickroom> {
  readonly code: FindingCode;
  /** Completes "found where …". */
  readonly where: string;
  /** Words after `doctor`: what is looked at. */
  look(room: R): readonly string[];
  /** Whether only root can be ill so, or well again. */
  readonly asRoot?: true;
  /** Words of a shell in which doctor and fix are run, one after the other. Default: doctor runs in this process. */
  session?(room: R): string;
  // biome-ignore lint/suspicious/noConfusingVoidType: most fixes are commands, and nothing is left to say
  provoke(room: R): Illness | void | Promise<Illness | void>;
}

export interface Illness {
  /** In force until it is healed. */
  readonly circumstances?: Circumstances;
  /** Does what the advice says; only where the fix is no command. */
  readonly heal?: (advice: string) => void | Promise<void>;
}

/** A host that is well, with what makes it ill. */
export interface Sickroom {
  readonly line: CommandLine;
  /** Programs are not found any more, until what it returns is called. */
  hide(...programs: readonly string[]): () => void;
  /** Puts a program before all others; what it returns takes it away. */
  fake(program: string, script: string): () => void;
}

const main = fileURLToPath(new URL("../../../shipper/mailark.ts", import.meta.url));

export function sickroom(line: CommandLine): Sickroom {
  const bin = join(line.directory, "bin");
  const programs = join(line.directory, "programs");
  const own = process.env.PATH ?? "";
  const fake = (program: string, script: string) => {
    writeFileSync(join(bin, program), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return () => rmSync(join(bin, program));
  };
  for (const path of [bin, programs]) mkdirSync(path, { mode: 0o755 });
  fake("mailark", `exec ${shellWord(process.execPath)} ${shellWord(main)} "$@"`);
  const places = new Map<string, string>();
  for (const folder of own.split(":").reverse()) {
    for (const name of namesIn(folder)) places.set(name, join(folder, name));
  }
  for (const [name, path] of places) symlinkSync(path, join(programs, name));
  vi.stubEnv("PATH", `${bin}:${programs}`);
  return {
    line,
    fake,
    hide(...names) {
      for (const name of names) rmSync(join(programs, name));
      return () => {
        for (const name of names) symlinkSync(places.get(name)!, join(programs, name));
      };
    },
  };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Makes a host ill, takes the fix out of what `doctor` prints, executes it, and looks again. */
export async function findAndFix<R extends Sickroom>(each: Case<R>, room: R): Promise<void> {
  const { code } = each;
  const doctor = ["doctor", ...each.look(room)];
  const session = each.session?.(room);
  const ask = async (circumstances?: Circumstances, before = ":") => {
    if (session === undefined) return room.line.configured(doctor, circumstances);
    const words = ["mailark", "--config", room.line.configPath, ...doctor].map(shellWord).join(" ");
    return inShell(`${session}; ${before}; ${words}`);
  };
  const { circumstances, heal } = (await each.provoke(room)) ?? {};
  const ill = await ask(circumstances);
  const [, kind, fix = ""] = new RegExp(`^${code}: .*\\n  (Run|Do): (.*)$`, "m").exec(ill.stdout) ?? [];
  expect(kind, `${code} is found:\n${ill.stdout}${ill.stderr}`).toBe(heal === undefined ? "Run" : "Do");
  expect(ill.code).toBe(findingCodes[code] === "problem" ? 1 : ill.code);
  expect(fix).not.toBe("");
  if (heal) await heal(fix);
  else if (session === undefined) expect(await inShell(fix), fix).toMatchObject({ code: 0 });
  const well = heal ? await ask() : await ask(circumstances, session === undefined ? ":" : fix);
  expect(well.stdout, `mended by: ${fix}`).toMatch(/^(Ready|Not ready): /m);
  expect(well.stdout).not.toMatch(new RegExp(`^${code}: `, "m"));
}

/** What a shell printed, and its exit status. */
async function inShell(script: string) {
  try {
    const { stdout, stderr } = await promisify(execFile)("sh", ["-c", script]);
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}
