/**
 * `node setup/run.js <target> [args…]`: makes this machine ready for a target, then runs it. Any Node may start this file; it
 * is what tells a too old one so. Everything it says goes to standard error: standard output belongs to the target.
 */
import { nodeComplaint } from "./node-version.js";

const complaint = nodeComplaint(process.versions.node);
if (complaint) {
  process.stderr.write(`mailark: ${complaint}\n`);
  process.exitCode = 1;
} else {
  import("./start.js")
    .then(({ start }) => start(process.argv.slice(2)))
    .then((code) => {
      process.exitCode = code;
    });
}
