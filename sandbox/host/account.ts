import { readFileSync } from "node:fs";

/** The owner of a service's files and processes. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Whether this process may become somebody else. Without it every service runs as the present user. */
export const isRoot = process.getuid?.() === 0;

function passwdEntries(): Account[] {
  return readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .filter((fields) => fields.length >= 4)
    .map(([name, , uid, gid]) => ({ name: name!, uid: Number(uid), gid: Number(gid) }));
}

/** The account of that name when this process is root (`nobody` where there is none such), else the present user. */
export function accountFor(name: string): Account {
  const entries = passwdEntries();
  if (!isRoot) {
    const uid = process.getuid!();
    return entries.find((entry) => entry.uid === uid) ?? { name: String(uid), uid, gid: process.getgid!() };
  }
  const entry = entries.find((each) => each.name === name) ?? entries.find((each) => each.name === "nobody");
  return entry ?? { name: "nobody", uid: 65534, gid: 65534 };
}

function groups(): { readonly name: string; readonly gid: number }[] {
  return readFileSync("/etc/group", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .map(([name = "", , gid]) => ({ name, gid: Number(gid) }));
}

/** The id of a group of this machine, or `undefined` when it has none of that name. */
export function groupId(name: string): number | undefined {
  return groups().find((group) => group.name === name)?.gid;
}

/** The name of a group of this machine, or its number when it has none of that id. */
export function groupName(gid: number): string {
  return groups().find((group) => group.gid === gid)?.name ?? String(gid);
}
