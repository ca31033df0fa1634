import { createServer } from "node:net";
import { expect, test } from "vitest";
import { isDebianLike, listeningPorts, signsOfMailService } from "../../setup/machine.js";

test("only listening sockets count, in both address families", () => {
  const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20361 1 0 100 0 0 10 0
   1: 0100007F:D431 0100007F:0019 01 00000000:00000000 00:00000000 00000000     0        0 20362 1 0 100 0 0 10 0
`;
  const tcp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:03E1 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
`;
  expect(listeningPorts(tcp)).toEqual([25]);
  expect(listeningPorts(tcp6)).toEqual([993]);
  expect(listeningPorts("")).toEqual([]);
});

test("the kernel's table of this machine is read rightly", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { readFileSync } = await import("node:fs");
  const address = server.address() as { port: number };
  expect(listeningPorts(readFileSync("/proc/net/tcp", "utf8"))).toContain(address.port);
  server.close();
  expect(Array.isArray(signsOfMailService())).toBe(true);
});

test("Debian, Ubuntu and what is made from them are recognised, and others are not", () => {
  expect(isDebianLike('PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n')).toBe(true);
  expect(isDebianLike("ID=ubuntu\nID_LIKE=debian\n")).toBe(true);
  expect(isDebianLike('ID=linuxmint\nID_LIKE="ubuntu debian"\n')).toBe(true);
  expect(isDebianLike('ID="rocky"\nID_LIKE="rhel centos fedora"\n')).toBe(false);
  expect(isDebianLike("")).toBe(false);
});
