import { expect, test } from "vitest";
import { missingHere, missingPackages, needs } from "../../setup/programs.js";

test("a package is missing as soon as one of its programs or files is", () => {
  const missing = missingPackages(
    (program) => program !== "mbstream",
    (path) => !path.endsWith("/lmtp"),
  );
  expect(missing).toEqual([
    { name: "mariadb-backup", lacks: ["mbstream"] },
    { name: "dovecot-lmtpd", lacks: ["/usr/lib/dovecot/lmtp"] },
  ]);
});

test("every package names something that tells whether it is there", () => {
  for (const { programs = [], files = [] } of Object.values(needs)) {
    expect(programs.length + files.length).toBeGreaterThan(0);
  }
  expect(
    missingPackages(
      () => true,
      () => true,
    ),
  ).toEqual([]);
});

test("a machine that runs these tests lacks nothing", () => {
  expect(missingHere()).toEqual([]);
});
