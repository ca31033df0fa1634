import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeFiles } from "../../../../core/ports/files.ts";
import { mailComponent } from "../../../../shipper/components/mail/component.ts";
import { mailConfig } from "../../../../shipper/components/mail/config.ts";
import { restore } from "../../../../shipper/restore/restore.ts";
import { makeFolder, treeOf, writeFile } from "../../../fixtures/mailboxes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";

let vault: Vault;
let root: string;

beforeEach(async () => {
  vault = await createVault();
  root = `${vault.directory}/vmail`;
});
afterEach(() => vault.remove());

const inLatin1 = (text: string) => Buffer.from(text).toString("latin1");

test("a mailbox is found by its address on a machine that does not know the layout", async () => {
  makeFolder(`${root}/mail/example.com/x/alice`);
  makeFolder(`${root}/mail/example.com/x/bob`);
  const captured = mailComponent(mailConfig.parse({ root, layout: "mail/{domain}/{any}/{user}" }));
  await vault.backup([captured]);
  const items = await mailComponent(mailConfig.parse({ root: "/var/vmail" })).plan(await vault.open("mail"), {
    mailboxes: ["alice@example.com"],
  });
  expect(items).toMatchObject([{ what: "mail/example.com/x/alice: 0 messages in 1 folder" }]);
});

test("names that are UTF-8 are shown and sealed as people write them", async () => {
  makeFolder(inLatin1(`${root}/example.com/jörg`));
  const component = mailComponent(mailConfig.parse({ root }));
  await vault.backup([component]);
  const snapshot = await vault.open("mail");
  const { ownerId, keyId } = snapshot.manifest.keys.find(({ ownerId }) => ownerId !== "host")!;
  expect((await snapshot.keyring.key(ownerId, keyId)).address).toBe("jörg@example.com");
  const [item] = await component.plan(snapshot, { mailboxes: ["jörg@example.com"] });
  expect(item?.what).toBe("example.com/jörg: 0 messages in 1 folder");
});

test("a mailbox that could not be captured is named to the operator, and only counted in the manifest", async () => {
  makeFolder(`${root}/example.com/alice`);
  makeFolder(`${root}/example.com/bob`);
  writeFile(`${root}/example.com/bob/cur/1.b:2,S`, "unreadable");
  const files = {
    ...nodeFiles,
    readdirSync: ((path: Buffer, ...rest: []) => {
      if (String(path).includes("/bob/"))
        throw Object.assign(new Error(`EIO: ${path}`), { code: "EIO", syscall: "scandir" });
      return nodeFiles.readdirSync(path, ...rest);
    }) as unknown as typeof nodeFiles.readdirSync,
  };
  const warnings: (string | undefined)[][] = [];
  const component = mailComponent(mailConfig.parse({ root }));
  const { capture } = component;
  const warning = {
    ...component,
    capture: (context: Parameters<typeof capture>[0]) =>
      capture({ ...context, warn: (...said) => warnings.push(said) }),
  };
  const { outcomes, exitCode } = await vault.backup([warning], { files });
  expect(exitCode).toBe(3);
  expect(outcomes[0]?.manifest?.warnings).toEqual([{ code: "MAILBOX_NOT_CAPTURED", count: 1 }]);
  expect(warnings.flat().join(" ")).toContain("example.com/bob");
});

test("a restore leaves what it brought back, and ends what it started", async () => {
  makeFolder(`${root}/example.com/alice`);
  const component = mailComponent(mailConfig.parse({ root }));
  await vault.backup([component]);
  const to = `${vault.directory}/out`;
  const result = await restore(component, await vault.open("mail"), { kind: "directory", path: to }, {}, vault.world());
  expect(result.failed).toBe(false);
  expect(Object.keys(treeOf(to))).toContain("example.com/alice/cur");

  let removed = 0;
  const failing = {
    ...component,
    stage: async (...args: Parameters<typeof component.stage>) => ({
      ...(await component.stage(...args)),
      remove: async () => {
        removed += 1;
      },
    }),
    check: () => Promise.reject(new Error("made up")),
  };
  const again = restore(failing, await vault.open("mail"), { kind: "directory", path: `${to}2` }, {}, vault.world());
  await expect(again).rejects.toThrow("made up");
  expect(removed).toBe(1);
});

test("what the layout does not explain is named to the operator, so that it is not missed on the worst day", async () => {
  makeFolder(`${root}/example.com/alice`);
  for (const name of "abcdefg") writeFile(`${root}/${name}.txt`, "stray");
  const warnings: (string | undefined)[][] = [];
  const component = mailComponent(mailConfig.parse({ root }));
  const { outcomes } = await vault.backup([
    { ...component, capture: (context) => component.capture({ ...context, warn: (...said) => warnings.push(said) }) },
  ]);
  expect(outcomes[0]?.manifest?.warnings).toEqual([{ code: "OUTSIDE_THE_LAYOUT", count: 7 }]);
  expect(warnings[0]?.[1]).toMatch(/^(\w\.txt\n){5}and 2 more$/);
});
