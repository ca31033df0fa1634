/** What a program does to the world, told to its operator: each program that it runs, each request to a store. */
import type { ObjectEraser } from "../core/stores/store.ts";
import type { Composition, Store } from "./composition.ts";
import { howEnded, type Processes } from "./processes.ts";
import { durationText, sizeText } from "./terminal/quantity.ts";
import type { Reporter } from "./terminal/reporter.ts";

/** The same composition, which tells. No argument of a program is secret: secrets go by standard input and environment, which are not told. */
export function traced(composition: Composition, { log }: Reporter): Composition {
  const { clock } = composition;
  /** Tells how long something took, and how it ended. */
  const timed = (what: string) => {
    const startedAt = clock.now();
    return (how: string) => log("debug", `${what}: ${how}, ${durationText(clock.now() - startedAt)}`);
  };
  const request = async <T>(what: string, work: () => Promise<T>, how: (answer: T) => string): Promise<T> => {
    const done = timed(what);
    try {
      const answer = await work();
      done(how(answer));
      return answer;
    } catch (error) {
      done(codeOf(error));
      throw error;
    }
  };
  async function* rows<T>(
    what: string,
    items: AsyncIterable<T>,
    sizeOf: (item: T) => number,
    unit: (sum: number) => string,
  ) {
    const done = timed(what);
    let sum = 0;
    let how = "not read to its end";
    try {
      for await (const item of items) {
        sum += sizeOf(item);
        yield item;
      }
      how = "done";
    } catch (error) {
      how = codeOf(error);
      throw error;
    } finally {
      done(`${how}, ${unit(sum)}`);
    }
  }

  const processes: Processes = {
    async start(command, options) {
      const done = timed(`program ${command.join(" ")}`);
      const running = await composition.processes.start(command, options).catch((error) => {
        done(codeOf(error));
        throw error;
      });
      void running.exited.then((exit) => done(howEnded(exit)));
      return running;
    },
  };
  const eraser = ({ erase }: ObjectEraser): ObjectEraser => ({
    erase: (key, options) =>
      request(
        `store erase ${key}`,
        () => erase(key, options),
        () => "erased",
      ),
  });
  const store = (opened: Store): Store => ({
    ...opened,
    put: (key, body, options) =>
      request(
        `store put ${key}`,
        () => opened.put(key, body, options),
        ({ bytes }) => sizeText(bytes),
      ),
    head: (key, options) =>
      request(
        `store head ${key}`,
        () => opened.head(key, options),
        (head) => (head ? sizeText(head.bytes) : "absent"),
      ),
    get: (key, options) => rows(`store get ${key}`, opened.get(key, options), (chunk) => chunk.length, sizeText),
    list: (prefix, options) =>
      rows(
        `store list ${prefix}`,
        opened.list(prefix, options),
        () => 1,
        (sum) => `${sum} rows`,
      ),
  });
  return {
    ...composition,
    processes,
    openStore: (url, options) => store(composition.openStore(url, options)),
    openEraser: (url, options) => eraser(composition.openEraser(url, options)),
    openReplacer(url, how) {
      const opened = composition.openReplacer(url, how);
      return (
        opened && {
          replace: (key, body, options) =>
            request(
              `store replace ${key}`,
              () => opened.replace(key, body, options),
              () => "replaced",
            ),
        }
      );
    },
  };
}

const codeOf = (error: unknown) => (error as { code?: string }).code ?? String(error);
