import { resolve } from "node:path";
import { exitCodes, MailarkError } from "../../core/errors.ts";
import { componentNames } from "../../core/keys.ts";
import { type Diagnosis, examineHost, type Part, parts, type Section } from "../doctor/doctor.ts";
import { commandOf, type Finding, type Fix, type Observation } from "../doctor/observation.ts";
import { usualScratch } from "../drill/drill.ts";
import { nearest } from "../nearest.ts";
import { printable } from "../terminal/printable.ts";
import { countOf } from "../terminal/quantity.ts";
import { table } from "../terminal/table.ts";
import { type CommandContext, type Outcome, worldOf } from "./command.ts";

/** What is looked at. */
export interface DoctorOptions {
  /** Components, and `machine`, `store`, `drill`. None: everything. */
  readonly what: readonly string[];
  /** Directory that a drill would use. */
  readonly scratch?: string;
  /** Warnings, and what could not be looked at, count as well. */
  readonly strict?: boolean;
}

/** Looks at all that a backup and a restore need, and says of each thing that is amiss what mends it. */
export async function doctor(context: CommandContext, options: DoctorOptions): Promise<Outcome> {
  const { composition, configPath, configNamed, cwd, reporter } = context;
  const only = options.what.map(partOf);
  reporter.begin("looking at this host");
  try {
    const diagnosis = await examineHost(
      composition,
      {
        configPath,
        only,
        scratch: resolve(cwd, options.scratch ?? usualScratch),
        own: (...words) => commandOf("mailark", ...(configNamed ? ["--config", configPath] : []), ...words),
      },
      worldOf(context),
    );
    return report(diagnosis, options.strict === true);
  } finally {
    reporter.end();
  }
}

function partOf(word: string): Part {
  const known: readonly Part[] = [...parts, ...componentNames];
  const part = known.find((each) => each === word);
  if (part !== undefined) return part;
  const meant = nearest(word, known);
  throw new MailarkError("ARGUMENT_INVALID", `nothing of that name can be looked at: ${JSON.stringify(word)}`, {
    hint: meant ? `did you mean ${meant}?` : `there are ${known.join(", ")}`,
  });
}

function report({ hostId, sections }: Diagnosis, strict: boolean): Outcome {
  const all = sections.flatMap(({ observations }) => observations);
  const count = (outcome: Observation["outcome"]) => all.filter((each) => each.outcome === outcome).length;
  const [problems, warnings, open] = [count("problem"), count("warning"), count("unproven")];
  const exitCode = problems > 0 || (strict && warnings + open > 0) ? exitCodes.failed : exitCodes.ok;
  const columns = [{ title: "ABOUT" }, { title: "CHECK" }, { title: "OUTCOME" }, { title: "DETAIL" }];
  const rows = sections.flatMap(({ about, observations }) =>
    observations.map((each) => [about, each.check, shown[each.outcome], "code" in each ? each.code : each.detail]),
  );
  const summary = `${countOf(problems, "problem")}, ${countOf(warnings, "warning")}, ${open} unproven, ${count("fine")} fine`;
  const end =
    exitCode === exitCodes.ok
      ? `Ready: ${summary}. Whether what is stored comes back, only a drill proves.\n`
      : `Not ready: ${summary}. Mend what is said above, then run it again.\n`;
  return {
    exitCode,
    text: `${table(columns, rows)}\n${sections.map(findingsText).join("")}${end}`,
    document: { command: "doctor", hostId, strict, exitCode, problems, warnings, unproven: open, sections },
  };
}

const shown: Record<Observation["outcome"], string> = {
  fine: "fine",
  unproven: "unproven",
  warning: "warning",
  problem: "PROBLEM",
};

function findingsText({ about, observations }: Section): string {
  return observations
    .filter((each): each is Finding => "code" in each)
    .map(({ code, detail, fix }) => `${code}: ${about}: ${printable(detail)}\n  ${fixText(fix)}\n\n`)
    .join("");
}

const fixText = (fix: Fix) => ("command" in fix ? `Run: ${printable(fix.command)}` : `Do: ${printable(fix.advice)}`);
