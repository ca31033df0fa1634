import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A server at work. */
export interface Listening {
  /** `127.0.0.1:PORT`. */
  readonly authority: string;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Listens on a free port of this machine, and to this machine only. */
export async function listening(server: Server): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    authority: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
