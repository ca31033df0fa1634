import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, writeFile } from "../../fixtures/mailboxes.ts";
import { s3Place, useCredentials, writer } from "../../fixtures/s3-place.ts";
import { ownDirectory } from "../../fixtures/scratch.ts";
import { type CloudRoom, cloudIllnesses, credentials } from "./cloud-illnesses.ts";
import { findAndFix, sickroom } from "./sickroom.ts";

let room: CloudRoom;
let remove: () => void;
beforeAll(async () => {
  const directory = ownDirectory();
  remove = directory.remove;
  const line = commandLine(directory.path);
  makeFolder(`${line.vmail}/example.com/alice/Maildir`);
  writeFile(`${line.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
  const place = await s3Place({ credentials });
  useCredentials(writer);
  await line.initInto([place.url()]);
  room = { ...sickroom(line), place };
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await room.place.close();
  remove();
});

describe("each finding goes away by the fix that is printed with it", () => {
  test.each(cloudIllnesses)("$code: found where $where", async (each) => findAndFix(each, room));
});

test("a store in S3 that lets a host create, and nothing else, gives no finding; what it can not be asked is unproven", async () => {
  expect(await room.line.configured(["backup", "mail"])).toMatchObject({ code: 0 });
  const { code, json } = await room.line.configured(["doctor", "store", "--json"]);
  expect({ code, problems: json.problems, warnings: json.warnings }).toEqual({ code: 0, problems: 0, warnings: 0 });
  const seen: { check: string; outcome: string }[] = json.sections[1].observations;
  const outcomes = Object.fromEntries(seen.map(({ check, outcome }) => [check, outcome]));
  expect(outcomes).toEqual({
    there: "fine",
    enrolment: "unproven",
    writing: "fine",
    clock: "unproven",
    "create-only": "fine",
    checksum: "fine",
    reading: "fine",
    erasing: "fine",
    snapshots: "unproven",
    "newest mail": "fine",
    backlog: "fine",
  });
});
