import { expect, test } from "vitest";
import { decide, newUnits, objection } from "../../setup/decision.js";

const situation = {
  missing: [
    { name: "zstd", lacks: ["zstd"] },
    { name: "dovecot-lmtpd", lacks: ["/usr/lib/dovecot/lmtp"] },
  ],
  apt: true,
  root: true,
  sudo: false,
  mailService: [] as string[],
  agreed: false,
  canAsk: true,
};

test("root installs without sudo, and everybody else with it", () => {
  expect(decide(situation)).toEqual({ go: true, prefix: [] });
  expect(decide({ ...situation, root: false, sudo: true })).toEqual({ go: true, prefix: ["sudo"] });
});

test("sudo never waits for a password where nobody could type one", () => {
  const decision = decide({ ...situation, root: false, sudo: true, agreed: true, canAsk: false });
  expect(decision).toEqual({ go: true, prefix: ["sudo", "-n"] });
});

test("a machine that serves mail is left alone, whoever agreed", () => {
  const decision = decide({ ...situation, agreed: true, mailService: ["something listens on port 25 (SMTP)"] });
  expect(decision).toMatchObject({ go: false, exitCode: 7 });
  expect(decision.go === false && decision.message).toMatch(/port 25.*apt-get install --no-install-recommends zstd/s);
});

test("a system without apt is told which programs it lacks", () => {
  const decision = decide({ ...situation, apt: false });
  expect(decision).toMatchObject({ go: false, exitCode: 1 });
  expect(decision.go === false && decision.message).toMatch(/zstd: zstd\n {2}dovecot-lmtpd: \/usr\/lib\/dovecot\/lmtp/);
});

test("without root and sudo it says what root has to run", () => {
  const decision = decide({ ...situation, root: false });
  expect(decision.go === false && decision.message).toContain("neither root nor");
});

test("where nobody can be asked nothing is installed without a yes beforehand", () => {
  expect(decide({ ...situation, canAsk: false })).toMatchObject({ go: false });
  expect(decide({ ...situation, canAsk: false, agreed: true })).toMatchObject({ go: true });
});

test("an installation that removes a package is refused by its name", () => {
  expect(objection({ installs: ["a"], upgrades: ["b"], removes: ["exim4-daemon-light"] })).toContain(
    "exim4-daemon-light",
  );
  expect(objection({ installs: ["a"], upgrades: ["b"], removes: [] })).toBeUndefined();
});

test("only servers that are new to the machine are kept from starting at boot", () => {
  const simulation = {
    installs: ["dovecot-core", "dovecot-imapd", "jq"],
    upgrades: ["postgresql-common"],
    removes: [],
  };
  expect(newUnits(simulation)).toEqual(["dovecot"]);
  expect(newUnits({ ...simulation, installs: ["podman"] })).toContain("podman.socket");
});
