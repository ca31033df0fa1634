/**
 * What leaves the cloud by mail or to a URL: nothing is sent, each message becomes a file that a person or a test can read,
 * `inbox/ADDRESS/0001.eml` in the cloud's directory. An address takes nothing as long as its folder holds a file `refuses`.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Letter {
  readonly from: string;
  /** Address or URL. */
  readonly to: string;
  /** Milliseconds since 1970; whole seconds. */
  readonly at: number;
  readonly subject: string;
  readonly text: string;
}

/** @returns whether it was taken. */
export function post(directory: string, { from, to, at, subject, text }: Letter): boolean {
  const folder = folderOf(directory, to);
  mkdirSync(folder, { recursive: true });
  if (existsSync(join(folder, "refuses"))) return false;
  const number = String(readdirSync(folder).length + 1).padStart(4, "0");
  const head = Object.entries({ From: from, To: to, Date: new Date(at).toUTCString(), Subject: subject });
  const lines = [...head.map(([name, value]) => `${name}: ${value.replace(/\s+/g, " ")}`), "", text];
  writeFileSync(join(folder, `${number}.eml`), lines.join("\n"), { flag: "wx" });
  return true;
}

/** In the order in which they came. */
export function lettersTo(directory: string, to: string): readonly Letter[] {
  const folder = folderOf(directory, to);
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((name) => name.endsWith(".eml"));
  return files.sort().map((name) => letterOf(readFileSync(join(folder, name), "utf8")));
}

/** From now on the address takes no mail. */
export function refuseMail(directory: string, address: string): void {
  const folder = folderOf(directory, address);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "refuses"), "");
}

function folderOf(directory: string, to: string): string {
  const name = to.replace(/[^A-Za-z0-9@_+-]/g, (other) => (other === "." ? "." : encodeURIComponent(other)));
  return join(
    directory,
    "inbox",
    name.replace(/^\.+/, (dots) => "%2E".repeat(dots.length)),
  );
}

function letterOf(file: string): Letter {
  const end = file.indexOf("\n\n");
  const head = new Map(
    file
      .slice(0, end)
      .split("\n")
      .map((line) => line.split(/: (.*)/, 2) as [string, string]),
  );
  const of = (name: string) => head.get(name) ?? "";
  const at = Date.parse(of("Date"));
  return { from: of("From"), to: of("To"), at, subject: of("Subject"), text: file.slice(end + 2) };
}
