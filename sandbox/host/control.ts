import { createServer } from "node:net";
import type { Service } from "./service.ts";

const verbs: Record<string, (service: Service) => Promise<void>> = {
  start: (service) => service.start(),
  stop: (service) => service.stop(),
  restart: async (service) => {
    await service.stop();
    await service.start();
  },
};

/**
 * What systemd is to a machine: stops and starts the services of a sandbox host on the word of another process, which sends one line,
 * `VERB NAME...`, and reads one: `done`, or what went wrong. See `servicectl.ts`.
 *
 * @returns what ends it.
 */
export async function startControl(
  path: string,
  serviceOf: (name: string) => Service,
): Promise<{ stop(): Promise<void> }> {
  const obey = async (line: string) => {
    const [verb = "", ...names] = line.trim().split(" ");
    const act = verbs[verb];
    if (act === undefined) throw new Error(`no such verb: ${verb}`);
    for (const name of names) await act(serviceOf(name));
  };
  const server = createServer((socket) => {
    let said = "";
    socket.setEncoding("utf8").on("error", () => {});
    socket.on("data", (text: string) => {
      said += text;
      if (!said.includes("\n")) return;
      obey(said).then(
        () => socket.end("done\n"),
        (error: Error) => socket.end(`${error.message}\n`),
      );
    });
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
  server.unref();
  return { stop: () => new Promise((resolve) => server.close(() => resolve())) };
}
