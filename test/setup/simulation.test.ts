import { expect, test } from "vitest";
import { readSimulation } from "../../setup/simulation.js";

test("new packages, upgrades and removals of an apt simulation are told apart", () => {
  const output = `NOTE: This is only a simulation!
Reading package lists...
The following NEW packages will be installed:
  postfix zstd
Remv exim4-daemon-light [4.96-15+deb12u6]
Purg nullmailer [1:2.2-3]
Inst libssl3 [3.0.15-1~deb12u1] (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [amd64]) []
Inst postfix (3.7.11-0+deb12u1 Debian:12.12/oldstable [amd64]) [libssl3:amd64 ]
Inst zstd (1.5.4+dfsg2-5 Debian:12.12/oldstable [amd64])
Conf libssl3 (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [amd64])
Conf postfix (3.7.11-0+deb12u1 Debian:12.12/oldstable [amd64])
`;
  expect(readSimulation(output)).toEqual({
    installs: ["postfix", "zstd"],
    upgrades: ["libssl3"],
    removes: ["exim4-daemon-light", "nullmailer"],
  });
});

test("a simulation that does nothing has nothing in it", () => {
  const nothing = "0 upgraded, 0 newly installed, 0 to remove and 126 not upgraded.\n";
  expect(readSimulation(nothing)).toEqual({ installs: [], upgrades: [], removes: [] });
});
