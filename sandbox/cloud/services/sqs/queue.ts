import { createHash, randomUUID } from "node:crypto";

export interface QueueSettings {
  /** Milliseconds. */
  readonly retention: number;
  readonly visibilityTimeout: number;
  readonly delay: number;
  readonly maximumBytes: number;
}

export interface Message {
  readonly id: string;
  readonly body: string;
  readonly attributes: Readonly<Record<string, MessageAttribute>>;
  /** Milliseconds since 1970, like all times below. */
  readonly sentAt: number;
  visibleAt: number;
  receives: number;
  firstReceivedAt: number | undefined;
  receipt: string | undefined;
}

/** As the API has it. */
export interface MessageAttribute {
  readonly DataType: string;
  readonly StringValue: string;
}

/** A standard queue: what was received is hidden for a time, and what was not deleted until then comes again. */
export class Queue {
  readonly settings: QueueSettings;
  #messages: Message[] = [];
  readonly #receipts = new Set<string>();

  constructor(settings: QueueSettings) {
    this.settings = settings;
  }

  /** Milliseconds of `delay`: until then nobody receives it. */
  send(body: string, attributes: Message["attributes"], now: number, delay = this.settings.delay): Message {
    const message: Message = {
      id: randomUUID(),
      body,
      attributes,
      sentAt: now,
      visibleAt: now + delay,
      receives: 0,
      firstReceivedAt: undefined,
      receipt: undefined,
    };
    this.#messages.push(message);
    return message;
  }

  receive(most: number, now: number, hidden = this.settings.visibilityTimeout): readonly Message[] {
    const received = this.#kept(now)
      .filter(({ visibleAt }) => visibleAt <= now)
      .slice(0, most);
    for (const each of received) {
      each.visibleAt = now + hidden;
      each.receives++;
      each.firstReceivedAt ??= now;
      each.receipt = randomUUID();
      this.#receipts.add(each.receipt);
    }
    return received;
  }

  /** Deletes nothing by a receipt of an earlier time, as SQS does. Returns whether it is a receipt at all. */
  delete(receipt: string): boolean {
    this.#messages = this.#messages.filter((each) => each.receipt !== receipt);
    return this.#receipts.has(receipt);
  }

  purge(): void {
    this.#messages = [];
  }

  counts(now: number): { readonly visible: number; readonly hidden: number; readonly delayed: number } {
    const kept = this.#kept(now);
    const waiting = kept.filter(({ visibleAt }) => visibleAt > now);
    const hidden = waiting.filter(({ receives }) => receives > 0).length;
    return { visible: kept.length - waiting.length, hidden, delayed: waiting.length - hidden };
  }

  #kept(now: number): readonly Message[] {
    this.#messages = this.#messages.filter(({ sentAt }) => now - sentAt < this.settings.retention);
    return this.#messages;
  }
}

export const md5 = (text: string | Buffer): string => createHash("md5").update(text).digest("hex");

/** `undefined` where there are none. Source: "Calculating the MD5 message digest for message attributes". */
export function md5OfAttributes(attributes: Message["attributes"] | undefined): string | undefined {
  const entries = Object.entries(attributes ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return undefined;
  const sized = (text: string) => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(Buffer.byteLength(text));
    return Buffer.concat([size, Buffer.from(text)]);
  };
  const text = Buffer.from([1]);
  const encoded = entries.map(([name, { DataType, StringValue }]) =>
    Buffer.concat([sized(name), sized(DataType), text, sized(StringValue)]),
  );
  return md5(Buffer.concat(encoded));
}
