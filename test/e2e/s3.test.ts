import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Clock } from "../../core/ports/clock.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { s3Store } from "../../core/stores/s3.ts";
import { parseS3Url } from "../../core/stores/s3-url.ts";
import { faultRules } from "../../sandbox/cloud/s3/faults.ts";
import { storeIdentity } from "../../shipper/store-url.ts";
import { type CommandLine, commandLine } from "../fixtures/command-line.ts";
import { leftOutOfSnapshots, makeOddMailboxes, treeOf } from "../fixtures/mailboxes.ts";
import { type S3Place, s3Place, useCredentials, writer } from "../fixtures/s3-place.ts";
import { owner } from "../fixtures/sandbox-s3.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { setClock } from "../fixtures/set-clock.ts";

let host: CommandLine;
beforeEach(() => {
  host = commandLine(scratchDirectory());
  makeOddMailboxes(host.vmail);
});

/** A server, and the host introduced to it with credentials that can only create. */
async function initialised(options: Parameters<typeof s3Place>[0] = {}): Promise<S3Place> {
  const s3 = await s3Place(options);
  onTestFinished(s3.close);
  useCredentials(writer);
  expect(await host.initInto([s3.url()])).toMatchObject({ code: 0, stderr: "" });
  return s3;
}

/** Which keys the host seals with: public halves, by their ids. */
const keysOf = ({ directory }: CommandLine) => {
  const state = join(directory, "state");
  const folder = readdirSync(state).find((name) => existsSync(join(state, name, "keys.json")))!;
  return JSON.parse(readFileSync(join(state, folder, "keys.json"), "utf8"));
};
const comparable = (tree: Record<string, string>) =>
  Object.fromEntries(Object.entries(tree).filter(([path]) => path.includes("/") && !path.includes("9.same")));
/** Time that passes only by being waited for. */
const waiting = (clock: Clock = setClock(systemClock.now())) => ({ ports: { clock } });

describe("a backup into S3", () => {
  test("takes credentials that can only create, and comes back on an empty machine with others", async () => {
    const s3 = await initialised();
    expect(await host.configured(["backup"])).toMatchObject({ code: 0, stderr: "" });
    expect(await host.configured(["backup"])).toMatchObject({ code: 0, stderr: "" });
    const done = s3.server.requests.filter(({ who, status }) => who === "writer" && status !== 403);
    expect(new Set(done.map(({ operation }) => operation))).toEqual(new Set(["PutObject"]));

    for (const command of [["list"], ["show", "latest", "mail"], ["verify"], ["restore", "mail", "--to", "out"]]) {
      const said = await host.configured([
        ...command,
        ...(command[0] === "restore" ? ["--identity", host.identity] : []),
      ]);
      expect(said, command[0]).toMatchObject({ code: 6, stdout: "" });
      expect(said.stderr).toContain("reading needs other credentials");
    }

    useCredentials(owner);
    const elsewhere = commandLine(scratchDirectory());
    const from = ["--store", s3.url()];
    const verified = await elsewhere.mailark(["verify", "--deep", "--identity", host.identity, ...from]);
    expect(verified).toMatchObject({ code: 0 });
    const to = join(elsewhere.directory, "out");
    const words = ["restore", "mail", "--identity", host.identity, "--to", to, ...from];
    expect(await elsewhere.mailark(words)).toMatchObject({ code: 0 });
    expect(comparable(treeOf(to))).toEqual(comparable(treeOf(host.vmail, leftOutOfSnapshots)));
  });

  test("says how many requests it took: as many as the store counted", async () => {
    const s3 = await initialised();
    const before = s3.server.requests.length;
    const { json } = await host.configured(["backup", "--json"]);
    const asked = s3.server.requests.slice(before);
    const puts = asked.filter(({ operation }) => operation === "PutObject");
    const counted = json.requests.find(({ action }: { action: string }) => action === "s3:PutObject");
    expect(counted).toMatchObject({ store: storeIdentity(json.store), requests: puts.length });
    // Of a put that was refused, the server may not have read the body.
    expect(counted.sentBytes).toBeGreaterThanOrEqual(puts.reduce((sum, { bytesIn }) => sum + bytesIn, 0));
    expect(json.requests.reduce((sum: number, { requests }: { requests: number }) => sum + requests, 0)).toBe(
      asked.length,
    );
  });

  test("introduces the host to a bucket that was emptied, and uses no key that went with it", async () => {
    const s3 = await initialised({ versioned: false });
    expect(await host.configured(["backup"])).toMatchObject({ code: 0, stderr: "" });
    const before = keysOf(host);
    expect(await host.configured(["backup"])).toMatchObject({ code: 0, stderr: "" });
    expect(keysOf(host)).toEqual(before);

    useCredentials(owner);
    const bucket = s3Store(parseS3Url(s3.url()));
    for await (const row of bucket.list("")) if ("key" in row) await bucket.erase(row.key);
    useCredentials(writer);
    const said = await host.configured(["backup"]);
    expect(said.code).toBe(0);
    expect(said.stderr).toContain("did not know this host");
    useCredentials(owner);
    const verified = await host.configured(["verify", "--deep", "--identity", host.identity]);
    expect(verified).toMatchObject({ code: 0, stderr: "" });
  });

  test("tells at init what the store and the credentials make sure of", async () => {
    const s3 = await s3Place();
    onTestFinished(s3.close);
    useCredentials(writer);
    const safe = await host.initInto([s3.url()]);
    expect(safe.stdout).toContain("can not replace or erase what was stored before");
    useCredentials(owner);
    const other = commandLine(scratchDirectory());
    makeOddMailboxes(other.vmail);
    const unsafe = await other.initInto([s3.url("&conditional=false&checksum=md5")]);
    expect(unsafe.stdout).toMatch(/refuses to replace: no, says the checksum: yes, keeps versions: yes/);
    expect(unsafe.stdout).toContain("the version before it stays");
  });
});

describe("when the store fails for a while", () => {
  test("a minute of 503 is waited for, and told once", async () => {
    const clock = setClock(systemClock.now());
    const s3 = await initialised({ clock: systemClock });
    const until = clock.now() + 60_000;
    s3.server.settings.faults = () => (clock.now() < until ? { kind: "error", code: "ServiceUnavailable" } : undefined);
    const said = await host.configured(["backup"], waiting(clock));
    expect(said.code).toBe(0);
    expect(said.stderr.match(/asking again/g)).toHaveLength(1);
    expect(clock.now()).toBeGreaterThan(until);
  });

  test.each(["before", "after"] as const)("connections that break %s a put is done cost no backup", async (when) => {
    const s3 = await initialised();
    let count = 0;
    s3.server.settings.faults = ({ operation }) =>
      operation === "PutObject" && ++count % 2 === 1 ? { kind: "reset", when } : undefined;
    expect(await host.configured(["backup"], waiting())).toMatchObject({ code: 0 });
    s3.server.settings.faults = undefined;
    useCredentials(owner);
    expect(await host.configured(["verify", "--deep", "--identity", host.identity])).toMatchObject({ code: 0 });
  });

  test("a bucket is not said to have been emptied where the answer to an introduction got lost", async () => {
    const s3 = await initialised();
    const lose = () => {
      const fault = { kind: "reset", when: "before" } as const;
      s3.server.settings.faults = faultRules([{ operation: "PutObject", key: /\/enrol\//, times: 1, fault }]);
    };
    lose();
    const said = await host.configured(["backup"], waiting());
    expect(said).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/whether s3:\S+ knew this host is not known/),
    });
    expect(said.stderr).not.toContain("did not know this host");
    lose();
    expect((await host.configured(["enrol"], waiting())).stdout).toContain("said since when got lost");
  });

  test("an answer with another checksum than was sent makes no snapshot", async () => {
    const s3 = await initialised();
    s3.server.settings.faults = faultRules([
      { operation: "PutObject", key: /\.pack$/, times: 99, fault: { kind: "wrong-checksum" } },
    ]);
    const said = await host.configured(["backup"], waiting());
    expect(said.code).toBe(6);
    expect(said.stdout).toContain("the store received other bytes than were sent");
  });
});

describe("one clear message", () => {
  const failing = async (said: ReturnType<CommandLine["mailark"]>, message: RegExp, hint: RegExp) => {
    const { code, stdout, stderr } = await said;
    expect(code).toBe(6);
    expect(`${stdout}${stderr}`).toMatch(message);
    expect(`${stdout}${stderr}`).toMatch(hint);
    expect(`${stdout}${stderr}`).not.toContain(writer.secretAccessKey);
  };

  test("tells credentials that the store does not know, and a wrong secret", async () => {
    await initialised();
    useCredentials({ ...writer, accessKeyId: "AKIAOTHER" });
    await failing(host.configured(["backup"]), /does not know these credentials/, /check the access key/);
    useCredentials({ ...writer, secretAccessKey: "wrong" });
    await failing(host.configured(["backup"]), /secret key does not belong/, /check the credentials/);
  });

  test("tells that there are none", async () => {
    await initialised();
    useCredentials(writer);
    delete process.env.AWS_ACCESS_KEY_ID;
    await failing(host.configured(["backup"]), /no credentials/, /AWS_PROFILE/);
  });

  test("tells credentials that expire in the middle, and new ones go on", async () => {
    const s3 = await initialised();
    s3.server.settings.faults = ({ key }) => {
      if (key.endsWith(".pack")) s3.server.settings.credentials = [owner, { ...writer, expiresAt: 1 }];
      return undefined;
    };
    await failing(host.configured(["backup"]), /have expired/, /renew them/);
    s3.server.settings.faults = undefined;
    s3.server.settings.credentials = [owner, writer];
    expect(await host.configured(["backup"])).toMatchObject({ code: 0, stderr: "" });
  });

  test("tells an endpoint where nobody answers, and a name that is none", async () => {
    const s3 = await initialised();
    await s3.server.close();
    await failing(host.configured(["backup"], waiting()), /does not answer \(ECONNREFUSED\)/, /check the endpoint/);
    s3.close = async () => {};
    host.edit((text) => text.replace(s3.server.url, "http://nowhere.invalid"));
    await failing(
      host.configured(["backup"], waiting()),
      /name of the store can not be resolved/,
      /check the endpoint/,
    );
  });

  test("tells another region than the bucket's, and a bucket that there is not", async () => {
    await initialised();
    host.edit((text) => text.replaceAll("region=eu-central-1", "region=us-west-2"));
    await failing(host.configured(["backup"]), /another region/, /region=eu-central-1/);
    host.edit((text) =>
      text.replaceAll("region=us-west-2", "region=eu-central-1").replaceAll("s3://backups", "s3://nothing"),
    );
    useCredentials(owner);
    await failing(host.configured(["backup"]), /no bucket of that name/, /check the bucket/);
  });

  test("tells a clock that is an hour off, and the backup goes on by the store's", async () => {
    const late: Clock = { ...systemClock, now: () => systemClock.now() + 3_600_000 };
    const s3 = await s3Place({ clock: late });
    onTestFinished(s3.close);
    useCredentials(writer);
    const said = await host.initInto([s3.url()]);
    expect(said.code).toBe(0);
    expect(said.stderr).toMatch(/clock of this machine differs from the store's: asking again/);
    expect(await host.configured(["backup"])).toMatchObject({ code: 0 });
  });
});
