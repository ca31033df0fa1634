import { randomBytes } from "node:crypto";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, type Place, writeFileFor } from "./place.ts";

/**
 * The directory of the agency's mail API, which takes the place of `/opt/mailserver-api`: some code, and its secrets in `.env`.
 */
export function makeApiDirectory({ directory }: Pick<Place, "directory">): string {
  const top = makeFolder(join(directory, "opt", "mailserver-api"), undefined, 0o755);
  makeFolder(join(directory, "opt"), undefined, 0o755);
  const source = makeFolder(join(top, "src"), undefined, 0o755);
  const files = {
    "package.json": `${JSON.stringify({ name: "mailserver-api", version: "2.4.1", type: "module" }, undefined, 2)}\n`,
    "src/server.js": 'import { createServer } from "node:http";\n\ncreateServer().listen(process.env.PORT);\n',
    "src/mailboxes.js": "export const list = (database) => database.query(`SELECT email FROM virtual_users`);\n",
    "mailserver-api.service": `[Service]\nExecStart=/usr/bin/node ${source}/server.js\nEnvironmentFile=${top}/.env\n`,
  };
  for (const [name, text] of Object.entries(files)) writeFileFor(join(top, name), text, undefined, 0o644);
  writeFileFor(join(top, ".env"), `PORT=3000\nDB_NAME=mailserver\nAPI_KEY=${randomBytes(24).toString("hex")}\n`);
  symlinkSync("src/server.js", join(top, "server.js"));
  return top;
}
