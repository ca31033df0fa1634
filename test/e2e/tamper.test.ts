import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readTrust } from "../../core/enrolment.ts";
import { MailarkError } from "../../core/errors.ts";
import { generateSigningKey, signDocument, signerOf } from "../../core/signed-document.ts";
import type { ObjectReader } from "../../core/stores/store.ts";
import { type HostVerification, verifyHost } from "../../core/verify-host.ts";
import { type SandboxHost, startHost } from "../../sandbox/host/host.ts";
import { fillAgency } from "../fixtures/agency.ts";
import { readAll } from "../fixtures/read-all.ts";
import { contentsOf, createVault, type Vault } from "../fixtures/vault.ts";

let vault: Vault;
let host: SandboxHost;
let objects: Map<string, Buffer>;

beforeAll(async () => {
  vault = await createVault();
  host = await startHost({ services: ["mariadb"] });
  const components = await fillAgency(host);
  for (let run = 0; run < 2; run += 1) expect((await vault.backup(components)).exitCode).toBe(0);
  objects = new Map();
  for (const key of Object.keys(await contentsOf(vault.store))) {
    objects.set(key, await readAll(vault.store.get(key)));
  }
});
afterAll(async () => {
  await host.stop();
  vault.remove();
});

/** The store with some objects changed, or (`undefined`) gone. */
function changed(changes: ReadonlyMap<string, Buffer | undefined>): ObjectReader {
  const content = (key: string) => (changes.has(key) ? changes.get(key) : objects.get(key));
  const keys = [...new Set([...objects.keys(), ...changes.keys()])].sort();
  const listed = (key: string) => ({ key, bytes: content(key)!.length, receivedAt: 0 });
  return {
    async *get(key, { range } = {}) {
      const bytes = content(key);
      if (bytes === undefined) throw new MailarkError("OBJECT_MISSING", `there is no object ${key}`);
      if (range && range.end > bytes.length) throw new MailarkError("OBJECT_CORRUPT", "the object ends early");
      yield range ? bytes.subarray(range.start, range.end) : bytes;
    },
    head: async (key) => (content(key) === undefined ? undefined : listed(key)),
    async *list(prefix) {
      for (const key of keys) if (key.startsWith(prefix) && content(key) !== undefined) yield listed(key);
    },
  };
}

/** What `verify` says of a store, or the error that it ends on. */
async function verify(changes: ReadonlyMap<string, Buffer | undefined>): Promise<HostVerification | MailarkError> {
  const reader = changed(changes);
  try {
    return await verifyHost(reader, vault.hostId, await readTrust(reader, vault.hostId, undefined));
  } catch (error) {
    if (error instanceof MailarkError) return error;
    throw error;
  }
}

/** The keys that `verify` names. */
async function named(changes: ReadonlyMap<string, Buffer | undefined>): Promise<string[]> {
  const result = await verify(changes);
  if (result instanceof MailarkError)
    return [result.message, (result.cause as MailarkError | undefined)?.message ?? ""];
  return [...result.snapshots.flatMap(({ findings }) => findings), ...result.others].map(({ key }) => key);
}

/** The object, or where it is one of two that are judged together, its folder. */
const nameFor = (key: string) => key.replace(/(break-glass\/[^/]+)\/.*/, "$1");

test("an untouched store is whole", async () => {
  expect(await verify(new Map())).toMatchObject({
    others: [],
    snapshots: [{ findings: [] }, { findings: [] }, { findings: [] }, { findings: [] }],
  });
  expect([...objects.keys()].filter((key) => key.endsWith("manifest.json"))).toHaveLength(4);
});

describe("whatever is done to a stored object, verify names it", () => {
  const damages: Record<string, (bytes: Buffer) => Buffer | undefined> = {
    "first bit flipped": (bytes) => flipped(bytes, 0),
    "a bit in the middle flipped": (bytes) => flipped(bytes, bytes.length >> 1),
    "last bit flipped": (bytes) => flipped(bytes, bytes.length - 1),
    "last byte cut off": (bytes) => bytes.subarray(0, -1),
    "cut in half": (bytes) => bytes.subarray(0, bytes.length >> 1),
    emptied: () => Buffer.alloc(0),
    "a byte added": (bytes) => Buffer.concat([bytes, Buffer.from("x")]),
    "a line added": (bytes) => Buffer.concat([bytes, Buffer.from("\n{}\n")]),
  };
  test.each(Object.entries(damages))("%s", async (_, damage) => {
    for (const [key, bytes] of objects) {
      const names = await named(new Map([[key, damage(bytes)]]));
      // Without its only enrolment a host has no trusted key, and that is what is said.
      if (key.includes("/enrol/")) expect(names.join(), key).toContain("no trusted enrolment");
      else expect(names.join(), key).toContain(nameFor(key));
    }
  });

  test("dropped", async () => {
    for (const key of objects.keys()) {
      // A run record that is missing is what a crash after the last manifest leaves: it is no damage.
      if (key.includes("/runs/")) continue;
      const names = await named(new Map([[key, undefined]]));
      if (key.includes("/enrol/")) expect(names.join(), key).toContain("no trusted enrolment");
      else expect(names.join(), key).toContain(nameFor(key));
    }
  });

  test("swapped with another of its kind", async () => {
    const kinds = [/manifest\.json$/, /\.pack$/, /^keyring\//, /\/runs\//];
    let swaps = 0;
    for (const kind of kinds) {
      const keys = [...objects.keys()].filter((key) => kind.test(key));
      for (const [index, first] of keys.entries()) {
        for (const second of keys.slice(index + 1)) {
          const names = await named(
            new Map([
              [first, objects.get(second)],
              [second, objects.get(first)],
            ]),
          );
          expect(names, `${first} and ${second}`).toEqual(expect.arrayContaining([first, second]));
          swaps += 1;
        }
      }
    }
    expect(swaps).toBeGreaterThan(20);
  });

  test("a pack beside those that the manifest names", async () => {
    const [pack] = [...objects.keys()].filter((key) => key.endsWith("0001.pack"));
    const extra = pack!.replace("0001.pack", "0099.pack");
    expect(await named(new Map([[extra, Buffer.from("extra")]]))).toEqual([extra]);
  });
});

describe("whatever is done to a manifest, verify names it", () => {
  test("every member changed or taken out, under the old signature", async () => {
    let mutants = 0;
    for (const [key, bytes] of manifests()) {
      const [signed = "", signature] = bytes.toString("utf8").split("\n");
      for (const mutant of mutantsOf(JSON.parse(signed))) {
        const forged = Buffer.from(`${JSON.stringify(mutant)}\n${signature}\n`);
        expect(await named(new Map([[key, forged]]))).toContain(key);
        mutants += 1;
      }
    }
    expect(mutants).toBeGreaterThan(200);
  });

  test("signed anew with a key that is not enrolled", async () => {
    const stranger = signerOf(generateSigningKey());
    for (const [key, bytes] of manifests()) {
      const forged = signDocument(JSON.parse(bytes.toString("utf8").split("\n")[0]!), stranger);
      const result = (await verify(new Map([[key, forged]]))) as HostVerification;
      expect(result.snapshots.flatMap(({ findings }) => findings)).toMatchObject([{ key, code: "SIGNER_UNTRUSTED" }]);
    }
  });

  test("a run record or an enrolment that was changed under its old signature", async () => {
    for (const kind of ["/runs/", "/enrol/"]) {
      const [key, bytes] = [...objects].find(([name]) => name.includes(kind))!;
      const [signed = "", signature] = bytes.toString("utf8").split("\n");
      const changed = { ...JSON.parse(signed), name: "another", finishedAt: "2001-01-01T00:00:00.000Z" };
      const names = await named(new Map([[key, Buffer.from(`${JSON.stringify(changed)}\n${signature}\n`)]]));
      expect(names.join()).toContain(kind === "/enrol/" ? "no trusted enrolment" : key);
    }
  });

  const manifests = () => [...objects].filter(([key]) => key.endsWith("manifest.json"));
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
}

/** Every value in a document changed, and every member and element taken out, one at a time. */
function* mutantsOf(document: unknown): Generator<unknown> {
  if (Array.isArray(document)) {
    for (const [index, element] of document.entries()) {
      yield document.toSpliced(index, 1);
      for (const mutant of mutantsOf(element)) yield document.with(index, mutant);
    }
  } else if (typeof document === "object" && document !== null) {
    for (const [name, value] of Object.entries(document)) {
      const { [name]: _, ...rest } = document as Record<string, unknown>;
      yield rest;
      for (const mutant of mutantsOf(value)) yield { ...document, [name]: mutant };
    }
  } else if (typeof document === "number") yield document + 1;
  else if (typeof document === "string") yield `${document.slice(0, -1)}${document.endsWith("0") ? "1" : "0"}`;
}
