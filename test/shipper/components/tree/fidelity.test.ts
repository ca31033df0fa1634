import { execFileSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { extract, treeComponent } from "./tree-content.ts";

let vault: Vault;
let live: string;
beforeEach(async () => {
  vault = await createVault();
  live = `${scratchDirectory()}/live`;
  mkdirSync(live);
});
afterEach(() => vault.remove());

const shell = (script: string, cwd = live) =>
  execFileSync("sh", ["-euc", script], { cwd, encoding: "latin1", env: { ...process.env, LC_ALL: "C" } });

/** What every program on a host says of a tree. */
const judged = (cwd: string) => ({
  stat: shell("find . -printf '%P\\0%y %m %U:%G %T@ %s %n %l\\n' | sort -z", cwd),
  acl: shell("getfacl -R -p . ", cwd),
  attributes: shell("getfattr -R -h -d -m - . 2>&1", cwd),
  links: shell("find . -type f -links +1 -printf '%i %P\\n' | sort -k2", cwd).replace(/^\d+/gm, ""),
});

test("a tree comes back as it was: owners, modes, times, links, holes, attributes, lists, any name", async () => {
  shell(`
    umask 022; mkdir -p sub/empty setgid sticky acl
    : > nothing; printf 'main' > sub/main.cf; chmod 640 sub/main.cf; chown 105:113 sub/main.cf
    touch -d '2001-02-03 04:05:06.123456789 UTC' sub/main.cf; touch -d '1969-12-31 23:59:58.5 UTC' nothing
    chmod 2775 setgid; chown 0:8 setgid; chmod 1777 sticky; chmod 000 sub/empty
    ln -s sub/main.cf relative; ln -s /nowhere/at/all dangling; ln -s ../../../.. out; chown -h 105:113 relative
    ln sub/main.cf hard; ln sub/main.cf sub/again
    truncate -s 8M sparse; printf 'x' | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none; truncate -s 3M hole
    setfattr -n user.note -v 'a value' nothing; setfattr -n user.note -v dir setgid; setfattr -n user.a=b%c -v odd sub/main.cf
    setfacl -m u:105:r,g:8:rw nothing; setfacl -d -m u:105:rwx,g::r-x acl; setfacl -m u:1:rx acl
    printf n > "$(printf 'new\\nline')"; printf b > "$(printf '\\377\\376 no utf-8')"; printf u > "$(printf '\\303\\274 utf-8')"
    printf l > "$(printf '%0255d' 7)"; printf d > ./-dash; printf s > ' space and \\back'; mkdir "$(printf '%0200d' 1)"
    mkdir "$(printf '%0200d' 1)/$(printf '%0200d' 2)"; printf deep > "$(printf '%0200d' 1)/$(printf '%0200d' 2)/$(printf '%0200d' 3)"
    touch -d '2020-01-01 00:00:00.000000001 UTC' setgid acl`);
  const before = judged(live);
  expect((await vault.backup([treeComponent({ paths: [live] })])).exitCode).toBe(0);
  const root = `${scratchDirectory()}/root`;
  const restored = await extract(vault, root);
  expect(restored.findings).toEqual([]);
  expect(judged(`${root}${live}`)).toEqual(before);
  shell(`diff -r --no-dereference ${live} ${root}${live}`);
  const byHand = `${scratchDirectory()}/glass`;
  const scripts = `${vault.storeDirectory}/hosts/${vault.hostId}/break-glass`;
  shell(
    `sh ${scripts}/*/restore.sh ${vault.storeDirectory} ${vault.hostId} configs latest ${vault.identityFile} ${byHand}`,
  );
  shell(`mkdir ${byHand}/root; tar --extract --file=${byHand}/files --directory=${byHand}/root --same-permissions --same-owner \
    --xattrs --xattrs-include='user.*' --acls --delay-directory-restore --keep-old-files`);
  expect(judged(`${byHand}/root${live}`), "without mailark").toEqual(before);
  const holes = ["sparse", "hole"].map((name) => statSync(`${root}${live}/${name}`).blocks);
  expect(Math.max(...holes), "blocks of sparse files").toBeLessThan(64);
});

test("what can not come back is left out of the capture, and told; a restore of the rest is as it was captured", async () => {
  shell(`
    mkfifo pipe; mknod device c 1 3; printf s > setuid; chmod 4755 setuid; printf g > setgid; chmod 2755 setgid
    printf c > capable; setcap cap_net_raw=ep capable 2> /dev/null || setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 capable
    python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'; mkdir kept left; printf x > left/node_modules; chmod 2755 kept`);
  const { outcomes, exitCode } = await vault.backup([treeComponent({ paths: [live], exclude: ["node_modules"] })]);
  expect(exitCode).toBe(0);
  expect(outcomes[0]?.manifest?.warnings).toEqual([
    { code: "SPECIAL_FILE_LEFT_OUT", count: 3 },
    { code: "RIGHTS_LEFT_OUT", count: 2 },
  ]);
  const root = `${scratchDirectory()}/root`;
  const { findings } = await extract(vault, root);
  expect(findings).toEqual([]);
  expect(shell("find . -mindepth 1 -printf '%m %P\n' | sort", `${root}${live}`)).toBe(
    "2755 kept\n644 capable\n755 left\n755 setgid\n755 setuid\n",
  );
});

test("files of another place come back by their numbers", async () => {
  shell("printf a > one; chown 105:113 one; printf b > two");
  await vault.backup([treeComponent({ paths: [live], command: ["env", "A=b"] })]);
  const root = `${scratchDirectory()}/root`;
  expect((await extract(vault, root)).facts.elsewhere).toBe(true);
  expect(statSync(`${root}${live}/one`)).toMatchObject({ uid: 105, gid: 113 });
});

test("a path that leads through a link, and one that is a link", async () => {
  shell("mkdir real; printf x > real/file; ln -s real link");
  const through = await vault.backup([treeComponent({ paths: [`${live}/link/file`] })]);
  expect(through.outcomes[0]?.error).toMatchObject({ code: "CAPTURE_FAILED", message: "a path leads through a link" });
  expect((await vault.backup([treeComponent({ paths: [`${live}/link`] })])).exitCode).toBe(0);
  const root = `${scratchDirectory()}/root`;
  await extract(vault, root);
  expect(shell("readlink link", `${root}${live}`)).toBe("real\n");
});
