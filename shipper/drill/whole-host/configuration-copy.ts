/**
 * A copy of the captured configuration of the mail servers, in which every path that was captured stands for what was staged of it. The staged files
 * themselves stay as they are.
 */
import type { Stats } from "node:fs";
import { posix } from "node:path";
import { type Files, isAbsent, writeWhole } from "../../../core/ports/files.ts";
import { bytePath } from "../../components/byte-path.ts";
import type { StagedHost } from "../../components/staged-host.ts";

/** Paths and contents in latin1. */
export interface ConfigurationCopy {
  /** Where the copy has a file of the host: `undefined` when it was not captured. Copies it, with what it names. */
  place(livePath: string): string | undefined;
  /** A text in which captured paths stand for their copies. */
  translate(text: string): string;
  /** Gives what was copied since the last call to whoever reads it. */
  give(owner: { readonly uid: number; readonly gid: number } | undefined): void;
}

/** Larger files are no configuration: they are copied as they are. */
const textBytes = 4 * 2 ** 20;
/** More than these are no configuration of a mail server either, or links that go round. */
const mostFiles = 5000;

/**
 * @param rewrite what else changes in a file, given its live path and the text with its paths translated.
 * @param path absent; will hold the copy.
 */
export function copyConfiguration(
  staged: StagedHost,
  path: string,
  rewrite: (text: string, livePath: string) => string,
  files: Files,
): ConfigurationCopy {
  const copyRoot = latin1(path);
  const roots = [staged.configs?.root, staged.certs?.root].filter((root) => root !== undefined).map(latin1);
  const done = new Set<string>();
  let given = 0;
  const mail = staged.mail && { live: staged.mail.liveRoot.replace(/\/+$/, ""), staged: staged.mail.root };

  /** The staged file or folder, and what it is. Links are followed among what was staged: an absolute one would lead to the live file. */
  function look(livePath: string, links = 0): { source: string; stat: Stats } | undefined {
    const names = livePath.split("/").filter(Boolean);
    for (const root of roots) {
      let at = "";
      let stat: Stats | undefined;
      for (const [position, name] of names.entries()) {
        stat = statOf(`${root}${at}/${name}`);
        if (stat?.isSymbolicLink()) {
          if (links > 20) return undefined;
          const target = files.readlinkSync(bytePath(`${root}${at}/${name}`), { encoding: "latin1" });
          return look(posix.resolve(at || "/", target, ...names.slice(position + 1)), links + 1);
        }
        if (stat === undefined) break;
        at += `/${name}`;
      }
      if (stat !== undefined) return { source: `${root}${at}`, stat };
    }
    return undefined;
  }

  function statOf(path: string): Stats | undefined {
    try {
      return files.lstatSync(bytePath(path));
    } catch (error) {
      if (!isAbsent(error)) throw error;
      return undefined;
    }
  }

  function place(livePath: string): string | undefined {
    const clean = posix.normalize(livePath).replace(/(?<=.)\/$/, "");
    const found = look(clean);
    // What is above all configuration is no file of a server's.
    if (found === undefined || clean.lastIndexOf("/") === 0) return undefined;
    const target = `${copyRoot}${clean}`;
    if (done.has(target)) return target;
    if (done.size > mostFiles || !(found.stat.isDirectory() || found.stat.isFile())) return undefined;
    done.add(target);
    if (found.stat.isDirectory()) {
      makeFolder(target);
      const names = files.readdirSync(bytePath(found.source), { encoding: "latin1" }) as string[];
      for (const name of names) place(`${clean}/${name}`);
    } else {
      makeFolder(posix.dirname(target));
      const content = read(found.source);
      const isText = content.length <= textBytes && !content.includes(0);
      const text = () => rewrite(translate(content.toString("latin1")), clean);
      write(target, isText ? Buffer.from(text(), "latin1") : content, found.stat.mode & 0o777);
    }
    return target;
  }

  function translate(text: string): string {
    const moved = mail ? moveMail(text) : text;
    return moved.replace(/(?<![\w./~%-])\/[\w.@%+~-]+(?:\/[\w.@%+~-]+)+\/?/g, (found) => {
      if (found.startsWith(copyRoot) || (mail && found.startsWith(mail.staged))) return found;
      const copied = place(found);
      return copied === undefined ? found : `${copied}${found.endsWith("/") ? "/" : ""}`;
    });
  }

  function moveMail(text: string): string {
    const { live, staged: now } = mail!;
    const literal = live.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return text.replace(new RegExp(`(?<![\\w./~%-])${literal}(?![\\w.-])`, "g"), () => now);
  }

  function makeFolder(folder: string): void {
    if (files.statSync(bytePath(folder), { throwIfNoEntry: false }) !== undefined) return;
    makeFolder(posix.dirname(folder));
    files.mkdirSync(bytePath(folder));
    files.chmodSync(bytePath(folder), 0o711);
  }

  function read(source: string): Buffer {
    const descriptor = files.openSync(bytePath(source), "r");
    try {
      const content = Buffer.alloc(files.fstatSync(descriptor).size);
      let length = 0;
      for (let more = -1; more !== 0 && length < content.length; length += more) {
        more = files.readSync(descriptor, content, length, content.length - length, null);
      }
      return content.subarray(0, length);
    } finally {
      files.closeSync(descriptor);
    }
  }

  function write(target: string, content: Uint8Array, mode: number): void {
    const descriptor = files.openSync(bytePath(target), "wx", 0o600);
    try {
      writeWhole(files, descriptor, content);
    } finally {
      files.closeSync(descriptor);
    }
    files.chmodSync(bytePath(target), mode & 0o700);
  }

  function give(owner: { uid: number; gid: number } | undefined): void {
    const copied = [...done].slice(given);
    given = done.size;
    if (owner !== undefined) for (const path of copied) files.lchownSync(bytePath(path), owner.uid, owner.gid);
  }

  return { place, translate, give };
}

const latin1 = (path: string) => Buffer.from(path, "utf8").toString("latin1").replace(/\/+$/, "");

/** The live paths of all staged files of this name, down to four folders deep below each captured path. */
export function findStaged(staged: StagedHost, name: string, files: Files): string[] {
  const { configs } = staged;
  if (!configs) return [];
  const root = latin1(configs.root);
  const found: string[] = [];
  const walk = (live: string, depth: number) => {
    let names: string[];
    try {
      const stat = files.lstatSync(bytePath(root + live));
      if (stat.isFile() && live.endsWith(`/${name}`)) found.push(live);
      if (!stat.isDirectory() || depth > 4) return;
      names = files.readdirSync(bytePath(root + live), { encoding: "latin1" }) as string[];
    } catch (error) {
      if (!isAbsent(error)) throw error;
      return;
    }
    for (const each of names.sort()) if (each !== "node_modules" && each !== ".git") walk(`${live}/${each}`, depth + 1);
  };
  for (const path of configs.paths) walk(latin1(path), 0);
  return [...new Set(found)].sort((a, b) => a.length - b.length);
}
