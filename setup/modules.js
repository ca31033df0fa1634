import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Refusal, say } from "./say.js";

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, link?: boolean }} Locked
 * @typedef {{ packages?: Record<string, Locked> }} Lock
 */

/**
 * Whether what npm says it installed is what the lock asks for. Optional packages may be missing: they are for other machines.
 *
 * @param {Lock} wanted `package-lock.json`
 * @param {Lock} installed `node_modules/.package-lock.json`
 */
export function sameModules(wanted, installed) {
  return Object.entries(wanted.packages ?? {}).every(([path, locked]) => {
    if (path === "" || locked.link) return true;
    const found = installed.packages?.[path];
    if (!found) return locked.optional === true;
    return found.version === locked.version && found.integrity === locked.integrity;
  });
}

/**
 * Runs `npm ci` unless `node_modules` holds what the lock asks for.
 *
 * @param {string} root the project's folder
 */
export function ensureModules(root) {
  if (modulesAreCurrent(root)) return;
  say("installing what package-lock.json names (npm ci)");
  const npm = spawnSync(
    "npm",
    ["ci", "--include=dev", "--include=optional", "--no-fund", "--no-audit", "--loglevel=error"],
    { cwd: root, stdio: ["ignore", 2, "inherit"] },
  );
  if (npm.error) throw new Refusal("npm can not be started: it comes with Node, from https://nodejs.org");
  if (npm.status !== 0) throw new Refusal("npm ci failed: see its own words above");
}

/** @param {string} root */
function modulesAreCurrent(root) {
  const wanted = readLock(join(root, "package-lock.json"));
  const installed = readLock(join(root, "node_modules", ".package-lock.json"));
  if (!wanted || !installed || !sameModules(wanted, installed)) return false;
  const folders = Object.keys(installed.packages ?? {});
  return folders.every((folder) => existsSync(join(root, folder, "package.json"))) && hasOwnNode(root);
}

/** @param {string} path @returns {Lock | undefined} */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** @param {string} root */
function hasOwnNode(root) {
  return existsSync(join(root, "node_modules", ".bin", "node")) || !["x64", "arm64"].includes(process.arch);
}

/**
 * The Node that the project runs on: its own, or this one where that is new enough.
 *
 * @param {string} root
 */
export function projectNode(root) {
  const own = join(root, "node_modules", ".bin", "node");
  if (existsSync(own)) return own;
  if (Number.parseInt(process.versions.node, 10) >= 24) return process.execPath;
  throw new Refusal(
    `mailark runs on Node 24 and brings it along for Linux on x64 and arm64, but not for ${process.platform} on ` +
      `${process.arch}: install Node 24 and run this again`,
  );
}
