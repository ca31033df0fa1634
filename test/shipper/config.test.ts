import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { generateIdentity } from "../../core/age/age.ts";
import type { MailarkError } from "../../core/errors.ts";
import { nodeFiles } from "../../core/ports/files.ts";
import { generateSigningKey } from "../../core/signed-document.ts";
import { readConfig, readSigner } from "../../shipper/config.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

const { identity, recipient } = generateIdentity();
const right = `version: 1
host:
  id: h-0123456789
  name: mail1.example.com
store: file:///var/backups/mailark
recovery: ${recipient}
signing-key: signing.pem
state: /var/lib/mailark
compression-level: 3
components:
  mail:
    root: /var/vmail
    layout: "{domain}/{user}"
  mysql:
    socket: /run/mysqld/mysqld.sock
    password-file: /nowhere/password
    databases: all
`;

let path: string;
beforeEach(() => {
  path = join(scratchDirectory(), "config.yaml");
});

const read = (text: string, mode = 0o600) => {
  writeFileSync(path, text);
  chmodSync(path, mode);
  return readConfig(nodeFiles, path);
};

function mistake(text: string, mode?: number): MailarkError {
  try {
    read(text, mode);
  } catch (error) {
    return error as MailarkError;
  }
  throw new Error("no mistake was found");
}
const mistakes = (text: string) => mistake(text).detail!.replaceAll(`${path}:`, "").split("\n");

test("a right configuration is read, with hyphens in its names and defaults for what is left out", () => {
  expect(read(right)).toMatchObject({
    path,
    host: { id: "h-0123456789", name: "mail1.example.com" },
    signingKey: "signing.pem",
    compressionLevel: 3,
    components: {
      mail: { root: "/var/vmail", layout: "{domain}/{user}" },
      mysql: { passwordFile: "/nowhere/password", databases: "all" },
    },
  });
  const short = `version: 1\nhost: { id: h-01, name: a }\nstore: file:///b\nrecovery: ${recipient}\ncomponents: { mail: { root: /m } }\n`;
  expect(read(short)).toMatchObject({ signingKey: "signing.pem", state: "/var/lib/mailark", compressionLevel: 3 });
});

test("stores are one URL or a list, in the order of their importance, with sections where there is more to say", () => {
  const store = "store: file:///var/backups/mailark";
  expect(read(right)).toMatchObject({
    store: "file:///var/backups/mailark",
    stores: [{ url: "file:///var/backups/mailark" }],
  });
  const several = right.replace(store, "stores:\n  - file:///a\n  - url: file:///b");
  expect(read(several)).toMatchObject({ store: "file:///a", stores: [{ url: "file:///a" }, { url: "file:///b" }] });
});

test("a file that is not there is CONFIG_MISSING, with the way to one", () => {
  expect(() => readConfig(nodeFiles, "/nowhere/config.yaml")).toThrow(
    expect.objectContaining({ code: "CONFIG_MISSING", hint: expect.stringContaining("mailark init") }),
  );
});

describe("every mistake is told with line, column, key, value and fix:", () => {
  const cases: [what: string, change: (text: string) => string, ...messages: (string | RegExp)[]][] = [
    [
      "an unknown key",
      (text) => text.replace("store:", "stroe:"),
      "1:1: store must be a text, and is missing: write store: file:///var/backups/mailark",
      "5:1: stroe is not a setting: did you mean store?",
    ],
    [
      "an unknown key in a section",
      (text) => text.replace("    root:", "    rot:"),
      /^11:3: components\.mail\.root must be a text, and is missing: write root: \/var\/vmail$/,
      "12:5: components.mail.rot is not a setting: did you mean root?",
    ],
    [
      "a key that is like no other",
      (text) => `${text}colour: blue\n`,
      /^18:1: colour is not a setting: remove it; there are version, host, store,.* signing-key/,
    ],
    [
      "a name that is not written with hyphens",
      (text) => text.replace("signing-key", "signingKey"),
      "7:1: signingKey is not a setting: did you mean signing-key?",
    ],
    [
      "a component that there is none of",
      (text) => `${text}  ldap: {}\n`,
      /^18:3: components\.ldap is not a setting: remove it; there are mail, mysql, postgres, redis, queue, configs, certs$/,
    ],
    [
      "a text for a number",
      (text) => text.replace("level: 3", "level: fast"),
      '9:20: compression-level must be a number, and is "fast"',
    ],
    [
      "a number that is too large",
      (text) => text.replace("level: 3", "level: 22"),
      "9:20: compression-level must be at most 19, and is 22",
    ],
    [
      "half a number",
      (text) => text.replace("level: 3", "level: 2.5"),
      /9:20: compression-level must be a whole number, and is 2.5/,
    ],
    ["another version", (text) => text.replace("version: 1", "version: 2"), "1:10: version must be 1, and is 2"],
    [
      "a relative path",
      (text) => text.replace("/var/vmail", "vmail"),
      '12:11: components.mail.root must be an absolute path, and is "vmail"',
    ],
    [
      "a layout without a user",
      (text) => text.replace("{domain}/{user}", "{domain}"),
      '13:13: components.mail.layout must contain {user}, and is "{domain}"',
    ],
    [
      "a store that is no URL",
      (text) => text.replace("file:///var/backups/mailark", "/var/backups"),
      '5:8: store: write it as a URL with an absolute path, such as file:///var/backups, and is "/var/backups"',
    ],
    [
      "a store of a kind that is not known",
      (text) => text.replace("file:///var/backups/mailark", "ftp://bucket"),
      /5:8: store: give a directory as file:\/\/\/DIR.*s3:\/\/BUCKET.*ftp:\/\/bucket/,
    ],
    [
      "a store in S3 without what it takes",
      (text) => text.replace("file:///var/backups/mailark", "s3://bucket"),
      '5:8: store: write it as s3://BUCKET/PREFIX?region=eu-central-1, and is "s3://bucket"',
    ],
    [
      "a bandwidth that is none",
      (text) => `${text}bandwidth-limit: fast\n`,
      /^18:18: bandwidth-limit: write a number of bytes, such as 500kB, 10MB or 1GiB, and is "fast"/,
    ],
    ["both forms of stores", (text) => `${text}stores: [file:///a]\n`, /^18:9: stores: give store or stores, not both/],
    [
      "no store in the list",
      (text) => text.replace(/store:.*/, "stores: []"),
      "5:9: stores must not be empty, and is a list",
    ],
    [
      "the same store twice",
      (text) => text.replace(/store:.*/, "stores: [file:///a, {url: file:///a/}]"),
      /^5:\d+: stores\.1 must be another store than those above/,
    ],
    [
      "a store of the list that is no URL",
      (text) => text.replace(/store:.*/, "stores: [file:///a, /b]"),
      '5:21: stores.1: write it as a URL with an absolute path, such as file:///b, and is "/b"',
    ],
    [
      "a store of the list that is neither URL nor section",
      (text) => text.replace(/store:.*/, "stores: [5]"),
      "5:10: stores.0 must be a text or a section with keys below it, and is 5",
    ],
    [
      "an unknown key in the section of a store",
      (text) => text.replace(/store:.*/, "stores: [{urL: file:///a}]"),
      /^5:9: stores\.0\.url must be a text, and is missing/,
      "5:11: stores.0.urL is not a setting: did you mean url?",
    ],
    [
      "a public key that is none",
      (text) => text.replace(recipient, `${recipient}x`),
      /6:11: recovery: give an X25519 public key as age-keygen prints it/,
    ],
    [
      "a section that is a text",
      (text) => text.replace(/host:\n.*\n.*\n/, "host: mail1\n"),
      '2:7: host must be a section with keys below it, and is "mail1"',
    ],
    [
      "an empty section",
      (text) => text.replace(/components:[\s\S]*/, "components: {}\n"),
      /10:1: components must name at least one component, such as mail/,
    ],
    [
      "a section without a value",
      (text) => text.replace(/ {2}mysql:[\s\S]*/, "  mysql:\n"),
      /14:9: components\.mysql must be a section with keys below it, and is missing/,
    ],
    [
      "one of two that exclude each other",
      (text) => `${text}    host: 127.0.0.1\n`,
      /14:3: components\.mysql: give socket or host, not both/,
    ],
    [
      "a wrong choice",
      (text) => text.replace("databases: all", "databases: some"),
      '17:16: components.mysql.databases must be "all" or a list, and is "some"',
    ],
    [
      "an item of a list",
      (text) => text.replace("databases: all", "databases: [a, '']"),
      /components\.mysql\.databases/,
    ],
    [
      "a wrong id",
      (text) => text.replace("h-0123456789", "h/../x"),
      /3:7: host\.id must be 2 to 128 of .*"h\/\.\.\/x"/,
    ],
  ];
  test.each(cases)("%s", (_, change, ...messages) => {
    const text = change(right);
    expect(text).not.toBe(right);
    const found = mistakes(text);
    expect(found).toHaveLength(messages.length);
    for (const [index, message] of messages.entries()) expect(found[index]).toMatch(message);
    expect(mistake(text)).toMatchObject({ code: "CONFIG_INVALID", exitCode: 2 });
  });

  test("all of them at once, in the order of the lines", () => {
    const wrong = right.replace("level: 3", "level: none").replace("/var/vmail", "vmail").replace("store:", "stor:");
    expect(mistakes(wrong).map((line) => line.split(":")[0])).toEqual(["1", "5", "9", "12"]);
    expect(mistake(wrong).message).toBe("the configuration has 4 mistakes");
  });

  test.each([
    ["a tab as indentation", "host:\n\tid: x\n", /^2:1: a tab can not indent/],
    ["a quote that is not closed", 'store: "file:///x\nhost: 1\n', /^\d+:\d+: /],
    ["the same key twice", `${right}store: file:///y\n`, /^18:1: the same key stands here twice/],
    ["a list instead of keys", "- a\n- b\n", /must be keys and values/],
    ["nothing", "", /must be keys and values/],
    ["a text", "hello\n", /must be keys and values/],
    ["an indentation that does not fit", "host:\n    id: a\n  name: b\n", /^\d+:\d+: /],
    ["an alias that is not there", "store: *nowhere\n", /^1:8: an alias/],
  ])("%s is told with its line", (_, text, message) => {
    expect(mistakes(text)[0]).toMatch(message);
  });
});

test("a bomb of aliases is refused, not unpacked", () => {
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
  expect(mistakes(bomb)[0]).toMatch(/^2:8: an alias can not stand for a value here/);
});

test("no secret is ever repeated", () => {
  const secrets = [
    right.replace(recipient, identity),
    right.replace("databases: all", "password: hunter2-secret"),
    right.replace("file:///var/backups/mailark", "s3://user:hunter2-secret@bucket"),
    ...['"hunter2-secret', "|hunter2-secret", "!x!hunter2-secret"].map((value) =>
      right.replace("password-file: /nowhere/password", `password-file: ${value}`),
    ),
  ];
  for (const text of secrets) {
    const { message, detail, hint } = mistake(text);
    const said = [message, detail, hint].join("\n");
    expect(said).not.toContain("hunter2-secret");
    expect(said).not.toContain(identity);
    expect(said.length).toBeGreaterThan(100);
  }
  expect(mistakes(secrets[0]!)[0]).toMatch(/recovery: this is a private key: give the public one/);
});

test("a configuration that others can change is refused, with the command that mends it", () => {
  expect(mistake(right, 0o666)).toMatchObject({ code: "CONFIG_INVALID", hint: `chmod 600 ${path}` });
  expect(read(right, 0o644)).toBeDefined();
});

test("a password file or a signing key that others can read is refused, with the command that mends it", () => {
  const folder = scratchDirectory();
  const password = join(folder, "password");
  writeFileSync(password, "hunter2-secret\n", { mode: 0o640 });
  const text = right.replace("/nowhere/password", password);
  expect(mistake(text)).toMatchObject({
    code: "CONFIG_INVALID",
    hint: expect.stringContaining(`chmod 600 ${password}`),
  });

  const signing = join(path, "../signing.pem");
  const config = read(right);
  expect(() => readSigner(nodeFiles, config)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  writeFileSync(signing, generateSigningKey(), { mode: 0o644 });
  expect(() => readSigner(nodeFiles, config)).toThrow("the signing key can be read by other users");
  chmodSync(signing, 0o600);
  expect(readSigner(nodeFiles, config).fingerprint).toMatch(/^[0-9a-f]{64}$/);
  writeFileSync(signing, "rubbish");
  expect(() => readSigner(nodeFiles, config)).toThrow(expect.objectContaining({ code: "KEY_INVALID" }));
});

test("a directory in the place of the file is told as such", () => {
  mkdirSync(path);
  expect(() => readConfig(nodeFiles, path)).toThrow(/EISDIR/);
});
