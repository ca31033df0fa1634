import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../core/ports/clock.ts";
import { nodeFiles } from "../../../core/ports/files.ts";
import { type SandboxHost, startHost } from "../../../sandbox/host/host.ts";
import { mailboxPassword } from "../../../sandbox/host/mailbox-password.ts";
import { deliver } from "../../../sandbox/host/smtp.ts";
import type { Check, World } from "../../../shipper/components/component.ts";
import type { StagedHost } from "../../../shipper/components/staged-host.ts";
import { checkWholeHost } from "../../../shipper/drill/whole-host/whole-host.ts";
import { nodeProcesses } from "../../../shipper/processes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const address = "probe@example.test";
const world: World = {
  files: nodeFiles,
  processes: nodeProcesses,
  clock: systemClock,
  signal: new AbortController().signal,
  progress: () => {},
};

let host: SandboxHost;
/** Has the databases of the host, as a scratch server has after a stage. */
let database: SandboxHost;

beforeAll(async () => {
  [host, database] = await Promise.all([
    startHost({ services: ["mariadb", "dovecot", "opendkim", "postfix"] }),
    startHost({ services: ["mariadb"] }),
  ]);
  await host.dovecot.addMailbox(address);
  await deliver(host, [
    { from: "friend@example.test", to: address, subject: "before", text: "there before the drill" },
  ]);
  const dump = execFileSync("mariadb-dump", [
    `--defaults-extra-file=${host.mariadb.defaultsFile}`,
    "--databases",
    "mailserver",
  ]);
  const account = (await host.mariadb.sql("SHOW CREATE USER dovecot@localhost")).trim();
  await database.mariadb.sql("DROP USER dovecot@localhost; DROP DATABASE mailserver");
  await database.mariadb.sql(`${account};GRANT SELECT ON mailserver.* TO dovecot@localhost;`);
  await database.mariadb.sql(dump);
});

afterAll(async () => {
  await Promise.all([host?.stop(), database?.stop()]);
});

/** What a drill has after its stages. */
function stage(): {
  staged: StagedHost;
  path: string;
  root: string;
  options: { path: string; probe: { address: string; passwordFile: string } };
} {
  const scratch = scratchDirectory();
  chmodSync(scratch, 0o711);
  const root = join(scratch, "configs");
  const mail = join(scratch, "mail");
  mkdirSync(join(root, host.directory), { recursive: true });
  execFileSync("cp", ["-a", host.etc, join(root, host.etc)]);
  execFileSync("cp", ["-a", host.vmail, mail]);
  const passwordFile = join(scratch, "password");
  writeFileSync(passwordFile, `${mailboxPassword}\n`, { mode: 0o600 });
  const path = join(scratch, "host");
  return {
    root,
    path,
    staged: {
      configs: { root, paths: [host.etc] },
      mail: { root: mail, liveRoot: host.vmail, layout: "{domain}/{user}" },
      mysql: { socket: database.mariadb.socket },
    },
    options: { path, probe: { address, passwordFile } },
  };
}

const outcomes = (checks: readonly Check[]) => checks.map(({ outcome }) => outcome);

describe("the whole host on what was staged", () => {
  test("takes a message in and finds it again, signed, in the mailbox", async () => {
    const { staged, options } = stage();
    const checks = await checkWholeHost(staged, options, world);
    expect(outcomes(checks)).toEqual(checks.map(() => "passed"));
  });
});
