import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Ports on which a machine that serves mail listens, with what people call them. */
const mailPorts = new Map([
  [25, "SMTP"],
  [465, "SMTPS"],
  [587, "submission"],
  [143, "IMAP"],
  [993, "IMAPS"],
  [110, "POP3"],
  [995, "POP3S"],
]);

const mailServices = ["postfix", "dovecot", "exim4", "exim", "sendmail"];

/**
 * The TCP ports that somebody listens on, from the kernel's tables: state 0A, port in hex behind the address.
 *
 * @param {string} table the text of /proc/net/tcp or tcp6
 * @returns {number[]}
 */
export function listeningPorts(table) {
  return table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === "0A")
    .map((fields) => Number.parseInt(fields[1]?.split(":")[1] ?? "", 16));
}

/**
 * Whether this is Debian or made from it.
 *
 * @param {string} osRelease the text of /etc/os-release
 */
export function isDebianLike(osRelease) {
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(osRelease);
}

/** Signs that this machine serves mail, in words. Empty when it does not. */
export function signsOfMailService() {
  const tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(textOf).join("\n");
  const ports = [...new Set(listeningPorts(tables))].filter((port) => mailPorts.has(port));
  const active = mailServices.filter((name) => {
    const asked = spawnSync("systemctl", ["is-active", "--quiet", name], { stdio: "ignore" });
    return asked.status === 0;
  });
  return [
    ...ports.map((port) => `something listens on port ${port} (${mailPorts.get(port)})`),
    ...active.map((name) => `the service ${name} is active`),
  ];
}

/** Whether packages can be installed here the Debian way. */
export function hasApt() {
  return isDebianLike(textOf("/etc/os-release")) && existsSync("/usr/bin/apt-get");
}

/** Hours since the package lists were fetched; infinite when there are none. */
export function packageListsAge() {
  const folder = "/var/lib/apt/lists";
  try {
    const times = readdirSync(folder)
      .filter((name) => /_Packages(\.|$)/.test(name))
      .map((name) => statSync(join(folder, name)).mtimeMs);
    // A list that has not changed keeps its time, so the folder's own time counts too.
    const newest = Math.max(...times, times.length > 0 ? statSync(join(folder, "partial")).mtimeMs : 0);
    return times.length === 0 ? Number.POSITIVE_INFINITY : (Date.now() - newest) / 3_600_000;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** @param {string} name */
export function isInPath(name) {
  return (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, name)));
}

export function isRoot() {
  return process.getuid?.() === 0;
}

/** @param {string} path */
function textOf(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
