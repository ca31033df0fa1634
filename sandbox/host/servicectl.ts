/** `servicectl.ts SOCKET VERB NAME...`: what systemctl is to a machine, for a sandbox host. */
import { connect } from "node:net";

const [path = "", ...words] = process.argv.slice(2);
const socket = connect(path);
let answer = "";
socket.setEncoding("utf8");
socket.write(`${words.join(" ")}\n`);
for await (const text of socket) answer += text;
if (answer !== "done\n") {
  process.stderr.write(answer === "" ? "no answer\n" : answer);
  process.exitCode = 1;
}
