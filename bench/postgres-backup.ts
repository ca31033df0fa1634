/**
 * Run by postgres.ts: one backup of a database server by the shipper's own pipeline, from the dump to the manifest, into a store of its own in
 * TMPDIR. `with-facts` or `without-facts`, then the directory of the server's socket, then a passfile.
 */

import { capturePostgres } from "../shipper/components/postgres/capture.ts";
import { postgresComponent } from "../shipper/components/postgres/component.ts";
import { postgresConfigSchema } from "../shipper/components/postgres/config.ts";
import { createVault } from "../test/fixtures/vault.ts";

const [facts = "", socketDirectory = "", passfile = ""] = process.argv.slice(2);
const config = postgresConfigSchema.parse({ socketDirectory, user: "postgres", passfile });
const vault = await createVault();
const { outcomes } = await vault.backup([
  {
    ...postgresComponent(config),
    capture: (context) => capturePostgres(config, context, { measured: facts === "with-facts" }),
  },
]);
for (const { error } of outcomes) if (error) throw error;
