import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { pathText } from "../byte-path.ts";
import type { Check } from "../component.ts";
import { listed } from "../tree/check-tree.ts";
import type { TreeView } from "../tree/tree-view.ts";

/** DKIM keys can be used: they are keys, fit the records that were written beside them, and OpenDKIM takes them as safe. */
export function checkDkimKeys(view: TreeView): Check[] {
  const paths = view.paths.filter((path) => /dkim/i.test(path) && /\.(private|pem|key)$/.test(path));
  const keys = paths.filter((path) => view.read(path)?.includes("PRIVATE KEY-----"));
  return keys.length === 0 ? [] : [checkKeys(view, keys), checkSafety(view, keys)];
}

function checkKeys(view: TreeView, paths: readonly string[]): Check {
  const wrong: string[] = [];
  let compared = 0;
  for (const path of paths) {
    let key: KeyObject;
    try {
      key = createPrivateKey(view.read(path)!);
    } catch {
      wrong.push(`${pathText(path)} is no key`);
      continue;
    }
    const record = view.read(path.replace(/\.[^./]+$/, ".txt"));
    const published = record && publicKeyOf(record.toString("latin1"));
    if (published === undefined) continue;
    compared += 1;
    if (published !== publicHalf(key)) wrong.push(`${pathText(path)} is not the key of the record beside it`);
  }
  const name = "DKIM keys";
  if (wrong.length > 0) return { name, outcome: "failed", detail: listed(wrong) };
  const detail = `${paths.length} can be used, ${compared} fit the record beside them`;
  return { name, outcome: "passed", detail };
}

/** `p=` of a record as opendkim-genkey writes it: quoted strings that belong together (RFC 6376, 3.6.1). */
function publicKeyOf(record: string): string | undefined {
  const text = [...record.matchAll(/"([^"]*)"/g)].map(([, part]) => part).join("");
  return /(?:^|;)\s*p=([A-Za-z0-9+/=\s]+)/.exec(text || record)?.[1]?.replace(/\s/g, "");
}

/** As a record has it: RSA as SubjectPublicKeyInfo, Ed25519 as its 32 bytes (RFC 8463). */
function publicHalf(key: KeyObject): string {
  const der = createPublicKey(key).export({ type: "spki", format: "der" });
  return (key.asymmetricKeyType === "ed25519" ? der.subarray(-32) : der).toString("base64");
}

/**
 * OpenDKIM refuses a key that others can read, or below a directory that others can write to, unless `RequireSafeKeys` is off
 * (opendkim.conf(5)). That was so on the host: it is said, and does not keep the files from coming back.
 */
function checkSafety(view: TreeView, paths: readonly string[]): Check {
  const name = "DKIM key modes";
  const relaxed = view.paths
    .filter((path) => /\/opendkim\.conf$/.test(path))
    .some((path) => /^\s*RequireSafeKeys\s+(no|false|0)\b/im.test(view.read(path)?.toString("latin1") ?? ""));
  const unsafe = paths.filter((path) => {
    const mode = view.entry(view.resolve(path) ?? path)?.mode ?? 0;
    return (mode & 0o007) !== 0 || view.parents(path).some((parent) => (parent.mode & 0o022) !== 0);
  });
  if (unsafe.length === 0) return { name, outcome: "passed", detail: "only their owner can read or replace them" };
  if (relaxed) return { name, outcome: "passed", detail: "others could read or replace them; RequireSafeKeys is off" };
  const detail = `others can read or replace ${listed(unsafe.map(pathText))}: OpenDKIM may refuse them`;
  return { name, outcome: "unproven", detail };
}
