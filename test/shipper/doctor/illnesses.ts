/** What can be amiss with the configuration, the machine, the store and a drill; and with components that no server belongs to. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, vi } from "vitest";
import { generateIdentity } from "../../../core/age/age.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import { type Files, nodeFiles } from "../../../core/ports/files.ts";
import { errnoError } from "../../fixtures/faults.ts";
import type { Case, Illness, Sickroom } from "./sickroom.ts";

const configuration = () => ["machine"];
const machine = () => ["machine"];
const store = () => ["store"];

const at = ({ line }: Sickroom, ...names: readonly string[]) => join(line.directory, ...names);
const signingKey = (room: Sickroom) => at(room, "etc", "signing.pem");
const stateFolder = (room: Sickroom) => {
  const state = at(room, "state");
  return join(state, readdirSync(state, { withFileTypes: true }).find((each) => each.isDirectory())!.name);
};
const hostFolder = (room: Sickroom, ...names: readonly string[]) => {
  const hosts = join(room.line.storeDirectory, "hosts");
  return join(hosts, readdirSync(hosts)[0]!, ...names);
};

/** Takes something away; puts it back. */
function away(room: Sickroom, path: string): Illness {
  renameSync(path, at(room, "away"));
  return { heal: () => renameSync(at(room, "away"), path) };
}

function edited({ line }: Sickroom, change: (text: string) => string): Illness {
  const before = readFileSync(line.configPath, "utf8");
  line.edit(change);
  return { heal: () => line.edit(() => before) };
}

/** A machine that is so, until it is another. */
const files = (changed: Partial<Files>): Illness => ({
  circumstances: { ports: { files: { ...nodeFiles, ...changed } } },
  heal: () => {},
});

/** What the system says of itself. */
function system(room: Sickroom, path: string, text: string): Illness {
  const other = at(room, "said");
  writeFileSync(other, text);
  const openSync: Files["openSync"] = (from, ...more) => nodeFiles.openSync(from === path ? other : from, ...more);
  return files({ openSync });
}

const full = (numbers: object) =>
  files({ statfsSync: ((path: string) => ({ ...statfsSync(path), ...numbers })) as Files["statfsSync"] });

const withComponent = (name: string, lines: readonly string[]) => (text: string) =>
  `${text.replace(/^services:[\s\S]*/m, "")}\n`.replace(
    /\ncomponents:\n/,
    `\ncomponents:\n  ${name}:\n${lines.map((each) => `    ${each}\n`).join("")}`,
  );

/** Backs up mail by a clock that is off. */
async function backedUpAt({ line }: Sickroom, now: () => number): Promise<void> {
  const { code } = await line.configured(["backup", "mail"], { ports: { clock: { ...systemClock, now } } });
  expect(code).toBe(0);
}

const day = 24 * 3600 * 1000;

export const illnesses: readonly Case[] = [
  {
    code: "CONFIG_INVALID",
    where: "a key is misspelt",
    look: configuration,
    provoke: (room) => edited(room, (text) => text.replace("compression-level:", "compression-levle:")),
  },
  {
    code: "CONFIG_OPEN",
    where: "others can change the configuration",
    look: configuration,
    provoke: ({ line }) => chmodSync(line.configPath, 0o622),
  },
  {
    code: "CONFIG_OPEN",
    where: "the configuration is another's",
    asRoot: true,
    look: configuration,
    provoke: ({ line }) => chownSync(line.configPath, 1000, 1000),
  },
  {
    code: "CONFIG_OPEN",
    where: "others can put another configuration in its place",
    look: configuration,
    provoke(room) {
      chmodSync(at(room, "etc"), 0o777);
      return { heal: (advice) => chmodSync(/that others can change: (\S+)$/.exec(advice)![1]!, 0o755) };
    },
  },
  {
    code: "SECRET_OPEN",
    where: "the signing key is another's",
    asRoot: true,
    look: configuration,
    provoke: (room) => chownSync(signingKey(room), 1000, 1000),
  },
  {
    code: "SECRET_OPEN",
    where: "others can read the signing key",
    look: configuration,
    provoke: (room) => chmodSync(signingKey(room), 0o644),
  },
  {
    code: "SECRET_MISSING",
    where: "a password file is not there",
    look: configuration,
    provoke(room) {
      const path = at(room, "redis-password");
      const { heal } = edited(room, withComponent("redis", [`password-file: ${path}`]));
      return {
        heal(advice) {
          writeFileSync(/into (\S+),/.exec(advice)![1]!, "secret\n", { mode: 0o600 });
          return heal!(advice);
        },
      };
    },
  },
  {
    code: "SIGNING_KEY_MISSING",
    where: "the signing key is gone",
    look: configuration,
    provoke: (room) => away(room, signingKey(room)),
  },
  {
    code: "SIGNING_KEY_INVALID",
    where: "the signing key is none",
    look: configuration,
    provoke(room) {
      const pem = readFileSync(signingKey(room));
      writeFileSync(signingKey(room), "-----BEGIN PRIVATE KEY-----\n");
      return { heal: (advice) => writeFileSync(/^put (\S+) back/.exec(advice)![1]!, pem) };
    },
  },
  {
    code: "STATE_UNWRITABLE",
    where: "a file is in the place of the state's directory",
    look: configuration,
    provoke(room) {
      renameSync(at(room, "state"), at(room, "state.kept"));
      writeFileSync(at(room, "state"), "");
      return {
        heal(advice) {
          rmSync(/^move (\S+) away/.exec(advice)![1]!);
          renameSync(at(room, "state.kept"), at(room, "state"));
        },
      };
    },
  },
  {
    code: "STATE_OPEN",
    where: "others can change the state",
    look: configuration,
    provoke: (room) => chmodSync(at(room, "state"), 0o777),
  },
  {
    code: "STATE_DAMAGED",
    where: "the list of keys is cut off",
    look: configuration,
    provoke: (room) => writeFileSync(join(stateFolder(room), "keys.json"), '{"hostId": "h-'),
  },
  {
    code: "LOCK_LEFT",
    where: "whoever held the lock was killed",
    look: configuration,
    provoke(room) {
      writeFileSync(at(room, "state", "lock"), "4194999-123 x\n");
      return {
        async heal() {
          await room.line.configured(["backup"]);
        },
      };
    },
  },
  {
    code: "RESTORE_UNFINISHED",
    where: "a restore of everything did not end",
    look: configuration,
    provoke(room) {
      writeFileSync(at(room, "state", "restore.json"), "{}");
      return { heal: (advice) => rmSync(/remove (\S+)$/.exec(advice)![1]!) };
    },
  },
  {
    code: "STORE_MISSING",
    where: "the disk of the store is not mounted",
    look: store,
    provoke: (room) => away(room, room.line.storeDirectory),
  },
  {
    code: "STORE_FAILED",
    where: "the file system of the store has no hard links",
    look: store,
    provoke: () =>
      files({
        linkSync: () => {
          throw errnoError("EPERM", "link");
        },
      }),
  },
  {
    code: "NOT_ENROLLED",
    where: "the store is another one",
    look: store,
    provoke(room) {
      rmSync(hostFolder(room, "enrol"), { recursive: true });
      return {
        async heal(advice) {
          expect(advice).toMatch(/^mount the disk .*; only for a store that is new, run `mailark enrol`$/);
          await room.line.configured(["enrol"]);
        },
      };
    },
  },
  {
    code: "ENROLMENT_DIFFERS",
    where: "the recovery key is another than on the sheet",
    look: store,
    provoke(room) {
      const { recipient } = generateIdentity();
      room.line.edit((text) => text.replace(/^recovery: .*$/m, `recovery: ${recipient}`));
      return {
        heal: (advice) =>
          room.line.edit((text) => text.replace(/^recovery: .*$/m, /recovery: age1\w+/.exec(advice)![0])),
      };
    },
  },
  {
    code: "STORE_SPACE_LOW",
    where: "the store has no room for another run",
    look: store,
    provoke: () => full({ bavail: 0 }),
  },
  {
    code: "STORE_INODES_LOW",
    where: "the store has no inodes for another run",
    look: store,
    provoke: () => full({ ffree: 1 }),
  },
  {
    code: "CLOCK_DIFFERS",
    where: "the clock is ahead of the store's",
    look: store,
    provoke: () => ({
      circumstances: { ports: { clock: { ...systemClock, now: () => Date.now() + 20 * 60_000 } } },
      heal: () => {},
    }),
  },
  {
    code: "SNAPSHOT_OLD",
    where: "nothing was ever stored",
    look: store,
    provoke: (room) => rmSync(hostFolder(room, "mail"), { recursive: true }),
  },
  {
    code: "SNAPSHOT_OLD",
    where: "nothing was stored for days",
    look: store,
    async provoke(room) {
      rmSync(hostFolder(room, "mail"), { recursive: true });
      await backedUpAt(room, () => Date.now() - 4 * day);
    },
  },
  {
    code: "SNAPSHOT_OF_FUTURE",
    where: "a clock was ahead once",
    look: store,
    async provoke(room) {
      await backedUpAt(room, () => Date.now() + 2 * day);
      return {
        heal() {
          const folder = hostFolder(room, "mail");
          rmSync(join(folder, readdirSync(folder).sort().at(-1)!), { recursive: true });
        },
      };
    },
  },
  {
    code: "STORE_BEHIND",
    where: "a second store was away when a backup ran",
    look: store,
    async provoke(room) {
      const { line } = room;
      const second = at(room, "second");
      mkdirSync(second, { recursive: true });
      line.edit((text) => text.replace(/^store: (.*)$/m, `stores: [$1, "file://${second}"]`));
      await line.configured(["enrol"]);
      renameSync(second, at(room, "unplugged"));
      await line.configured(["backup"]);
      renameSync(at(room, "unplugged"), second);
    },
  },
  {
    code: "NOT_ROOT",
    where: "another user runs it",
    look: machine,
    provoke() {
      const who = vi.spyOn(process, "getuid").mockReturnValue(1000);
      return {
        heal() {
          who.mockReturnValue(0);
        },
      };
    },
  },
  {
    code: "OPEN_FILES_FEW",
    where: "the limit of open files is low",
    look: machine,
    provoke: (room) =>
      system(room, "/proc/self/limits", "Max open files            100                  100                  files\n"),
  },
  {
    code: "MEMORY_LOW",
    where: "the services take all memory",
    look: machine,
    provoke: (room) => system(room, "/proc/meminfo", "MemTotal:  2048000 kB\nMemAvailable:     100000 kB\n"),
  },
  {
    code: "UMASK_STRANGE",
    where: "new files are closed to their owner",
    look: machine,
    session: (room) => `umask "$(cat '${at(room, "umask")}')"`,
    provoke(room) {
      writeFileSync(at(room, "umask"), "0277");
      return { heal: (advice) => writeFileSync(at(room, "umask"), /umask (\d+)/.exec(advice)![1]!) };
    },
  },
  {
    code: "TEMPORARY_UNUSABLE",
    where: "TMPDIR names nothing",
    look: machine,
    session: (room) => `TMPDIR=${at(room, "nowhere")}; export TMPDIR`,
    provoke: () => {},
  },
  {
    code: "CLOCK_NOT_SYNCHRONISED",
    where: "nothing keeps the clock",
    look: machine,
    provoke(room) {
      const state = at(room, "ntp");
      writeFileSync(state, "no\n");
      room.fake("timedatectl", `case $1 in show) cat '${state}' ;; set-ntp) echo yes > '${state}' ;; esac`);
    },
  },
  {
    code: "SCRATCH_UNUSABLE",
    where: "the scratch directory is not there",
    look: (room) => ["drill", "--scratch", at(room, "scratch")],
    provoke: () => {},
  },
  {
    code: "SCRATCH_UNUSABLE",
    where: "accounts of servers can not pass into the scratch directory",
    asRoot: true,
    look: (room) => ["drill", "--scratch", at(room, "closed", "scratch")],
    provoke(room) {
      const closed = at(room, "closed");
      mkdirSync(join(closed, "scratch"), { recursive: true, mode: 0o700 });
      return {
        heal(advice) {
          expect(advice).toMatch(/^name another directory with --scratch, one that every account can pass into$/);
          for (const path of [closed, join(closed, "scratch")]) chmodSync(path, 0o711);
        },
      };
    },
  },
  {
    code: "SCRATCH_SPACE_LOW",
    where: "the scratch directory has no room for everything",
    look: () => ["drill"],
    provoke: () => full({ bavail: 0 }),
  },
  {
    code: "ISOLATION_MISSING",
    where: "there is no unshare",
    asRoot: true,
    look: () => ["drill"],
    provoke: (room) => ({ heal: room.hide("unshare") }),
  },
  {
    code: "RESTORE_TOOL_MISSING",
    where: "what shall stop and start services is not there",
    look: machine,
    provoke: (room) => edited(room, (text) => `${text}\nservices:\n  control: [nowherectl]\n  mail: [postfix]\n`),
  },
  {
    code: "RESTORE_TOOL_MISSING",
    where: "there is no setpriv",
    look: () => ["drill"],
    provoke: (room) => ({ heal: room.hide("setpriv") }),
  },
  {
    code: "RESTORE_TOOL_MISSING",
    where: "there is no Dovecot to read restored mail",
    look: () => ["mail"],
    provoke: () =>
      files({
        statSync: ((path: string, options: object) =>
          /dovecot\/imap$/.test(String(path)) ? undefined : nodeFiles.statSync(path, options)) as Files["statSync"],
      }),
  },
  {
    code: "CAPTURE_IMPOSSIBLE",
    where: "the mail root holds no mailbox",
    look: () => ["mail"],
    provoke: (room) => away(room, join(room.line.vmail, "example.com")),
  },
  {
    code: "TOOL_MISSING",
    where: "there is no tar",
    look: () => ["configs"],
    provoke: (room) => ({ heal: room.hide("tar") }),
  },
  {
    code: "TOOL_UNFIT",
    where: "tar is not GNU's",
    look: () => ["configs"],
    provoke: (room) => ({ heal: room.fake("tar", "echo 'bsdtar 3.6.2 - libarchive 3.6.2'") }),
  },
  {
    code: "PATH_MISSING",
    where: "a path of the configuration is gone",
    look: () => ["configs"],
    provoke: (room) => away(room, at(room, "some", "postfix")),
  },
  {
    code: "RESTORE_TOOL_MISSING",
    where: "there is no postconf to read restored configuration",
    look: () => ["configs"],
    provoke: (room) => ({ heal: room.hide("postconf") }),
  },
  {
    code: "RESTORE_TOOL_MISSING",
    where: "there is no perl to exchange directories",
    look: () => ["configs"],
    provoke: (room) => ({ heal: room.hide("perl") }),
  },
  {
    code: "PLACE_UNREACHABLE",
    where: "a container is stopped",
    look: () => ["certs"],
    provoke: (room) =>
      edited(room, withComponent("certs", ['command: [sh, -c, "echo Error: container state improper >&2; exit 125"]'])),
  },
  {
    code: "CONFIG_MISSING",
    where: "there is no configuration",
    look: configuration,
    provoke(room) {
      for (const name of ["etc", "store", "state"]) rmSync(at(room, name), { recursive: true });
      return {
        async heal() {
          await room.line.init();
        },
      };
    },
  },
];
