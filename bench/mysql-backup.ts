/**
 * Run by mysql.ts: one backup of a database server by the shipper's own pipeline, from the dump to the manifest, into a store of its
 * own in TMPDIR. `with-facts` or `without-facts`, then the option file of the server.
 */

import { captureMysql } from "../shipper/components/mysql/capture.ts";
import { mysqlComponent } from "../shipper/components/mysql/component.ts";
import { mysqlConfigSchema } from "../shipper/components/mysql/config.ts";
import { createVault } from "../test/fixtures/vault.ts";

const [facts = "", defaultsFile = ""] = process.argv.slice(2);
const config = mysqlConfigSchema.parse({ defaultsFile });
const vault = await createVault();
const { outcomes } = await vault.backup([
  {
    ...mysqlComponent(config),
    capture: (context) => captureMysql(config, context, { measured: facts === "with-facts" }),
  },
]);
for (const { error } of outcomes) if (error) throw error;
