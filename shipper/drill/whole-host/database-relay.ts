/**
 * A socket that every account may use, before that of a scratch database, which only its own account and root can reach. The server behind it still asks
 * for name and password.
 */
import { connect, createServer } from "node:net";
import type { Files } from "../../../core/ports/files.ts";

/** Listens at `path` and passes everything on to `target`. Never throws for what a client or the server does. */
export async function openRelay(path: string, target: string, files: Files): Promise<{ close(): void }> {
  const open = new Set<{ destroy(): unknown }>();
  const server = createServer((client) => {
    const behind = connect(target);
    for (const end of [client, behind]) {
      open.add(end);
      end.on("error", () => {});
      end.once("close", () => {
        open.delete(end);
        client.destroy();
        behind.destroy();
      });
    }
    client.pipe(behind).pipe(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  files.chmodSync(path, 0o666);
  return {
    close() {
      server.close();
      for (const end of open) end.destroy();
    },
  };
}
