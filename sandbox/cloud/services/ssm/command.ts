import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Cloud } from "../../service.ts";
import { runDocument, type StepResult, statusOf } from "./agent.ts";
import type { CommandDocument } from "./document.ts";
import type { Values } from "./given-parameters.ts";
import type { RunScript } from "./local-machine.ts";
import type { ManagedNode } from "./managed-node.ts";
import { coarse, type InvocationStatus, isFinal, statusOfCommand } from "./status.ts";

/** What `SendCommand` asks for, judged and understood. */
export interface Order {
  readonly document: CommandDocument;
  readonly values: Values;
  /** As they were given, without what is a default. */
  readonly parameters: Readonly<Record<string, readonly string[]>>;
  readonly nodes: readonly ManagedNode[];
  readonly instanceIds: readonly string[];
  readonly targets: readonly { readonly Key?: string | undefined; readonly Values?: readonly string[] | undefined }[];
  readonly comment: string;
  /** Seconds in which each node must have got it. */
  readonly timeoutSeconds: number;
  /** A number, or a share of the nodes with `%`. */
  readonly maxConcurrency: string;
  readonly maxErrors: string;
}

/** A command on one node. */
export class Invocation {
  readonly node: ManagedNode;
  readonly cancelled = new AbortController();
  status: InvocationStatus = "Pending";
  results: readonly StepResult[] = [];
  /** Ends when its scripts have ended. */
  running = Promise.resolve();
  /** Forgets its deadlines and what it waits for. */
  forget = () => {};

  constructor(node: ManagedNode) {
    this.node = node;
  }
}

/** A command on its way: as many nodes at a time as it may, until too many have failed. */
export class Command {
  readonly id = randomUUID();
  readonly order: Order;
  /** Milliseconds since 1970. */
  readonly requestedAt: number;
  readonly expiresAt: number;
  readonly invocations: readonly Invocation[];
  readonly #cloud: Cloud;
  readonly #concurrency: number;
  readonly #maxErrors: number;
  readonly #toSend: Invocation[];
  #underWay = 0;
  #told: string = "Pending";

  constructor(order: Order, cloud: Cloud) {
    this.order = order;
    this.#cloud = cloud;
    this.invocations = order.nodes.map((node) => new Invocation(node));
    this.#toSend = [...this.invocations];
    this.#concurrency = Math.max(1, share(order.maxConcurrency, order.nodes.length));
    this.#maxErrors = share(order.maxErrors, order.nodes.length);
    this.requestedAt = cloud.clock.now();
    const rounds = Math.max(1, Math.ceil(order.nodes.length / this.#concurrency));
    this.expiresAt = this.requestedAt + rounds * this.#wholeTimeout;
  }

  get status() {
    return statusOfCommand(
      this.invocations.map(({ status }) => status),
      this.#maxErrors,
    );
  }

  begin(): void {
    this.#next();
  }

  /** Ends it on these nodes, wherever it has not ended yet. */
  cancel(instanceIds: readonly string[]): void {
    const meant = this.invocations.filter(({ node }) => instanceIds.length === 0 || instanceIds.includes(node.id));
    for (const each of meant) {
      if (each.status === "InProgress") {
        this.#become(each, "Cancelling");
        each.node.reach(() => each.cancelled.abort());
      } else if (each.status === "Pending") this.#end(each, "Cancelled");
    }
  }

  /** Ends what is on a node that is no more. */
  lose(node: ManagedNode): void {
    for (const each of this.invocations) {
      if (each.node !== node || isFinal(each.status)) continue;
      each.cancelled.abort();
      this.#end(each, "Undeliverable");
    }
  }

  get #wholeTimeout(): number {
    const { document, timeoutSeconds } = this.order;
    return 1000 * document.steps.reduce((sum, step) => sum + step.timeoutSeconds, timeoutSeconds);
  }

  #next(): void {
    while (this.#toSend.length > 0 && this.#underWay < this.#concurrency) {
      const each = this.#toSend.shift()!;
      if (each.status !== "Pending") continue;
      if (this.#errors > this.#maxErrors) {
        this.#become(each, "Terminated");
        continue;
      }
      this.#underWay += 1;
      this.#send(each);
    }
  }

  #send(each: Invocation): void {
    const { clock } = this.#cloud;
    const sentAt = clock.now();
    const late = clock.at(sentAt + this.order.timeoutSeconds * 1000, () => this.#end(each, "DeliveryTimedOut"));
    each.forget = late;
    const unreached = each.node.reach(() => {
      late();
      each.forget = clock.at(sentAt + this.#wholeTimeout, () => this.#end(each, "DeliveryTimedOut"));
      this.#become(each, "InProgress");
      each.running = this.#run(each);
      this.#cloud.goOn(this.#heldFor(each));
    });
    if (each.status === "Pending") {
      each.forget = () => {
        late();
        unreached();
      };
    }
  }

  /** Time stands still while a script runs, but not longer than the patience of its node. */
  async #heldFor({ node, running }: Invocation): Promise<void> {
    const { patience } = node.options;
    if (patience === undefined) return running;
    const over = new AbortController();
    const late = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, patience);
      over.signal.addEventListener("abort", () => clearTimeout(timer));
    });
    await Promise.race([running, late]).finally(() => over.abort());
  }

  async #run(each: Invocation): Promise<void> {
    const { clock } = this.#cloud;
    const { document, values } = this.order;
    const environment = { ...(await each.node.environment()), SSM_COMMAND_ID: this.id };
    const directory = join(each.node.directory, this.id);
    const signal = each.cancelled.signal;
    // Nobody waits any more for a script that has outlasted the patience; now that it is ended, it will not be long.
    const run: RunScript = (script) => {
      script.signal.addEventListener("abort", () => this.#cloud.goOn(each.running), { once: true });
      return each.node.options.run(script);
    };
    const { variables } = each.node;
    const results = await runDocument({ document, values, directory, environment, variables, run, clock, signal });
    each.node.reach(() => {
      if (isFinal(each.status)) return;
      each.results = results;
      this.#end(each, statusOf(results));
    });
  }

  get #errors(): number {
    return this.invocations.filter(({ status }) => status === "Failed" || status === "ExecutionTimedOut").length;
  }

  #end(each: Invocation, status: InvocationStatus): void {
    if (isFinal(each.status)) return;
    const waited = this.#toSend.includes(each);
    each.forget();
    if (!waited) this.#underWay -= 1;
    this.#become(each, status);
    this.#next();
  }

  #become(each: Invocation, status: InvocationStatus): void {
    each.status = status;
    const { document } = this.order;
    this.#cloud.note(`ssm: ${document.name} on ${each.node.id} is ${status}`);
    const detail = {
      "command-id": this.id,
      "document-name": document.name,
      "requested-date-time": new Date(this.requestedAt).toISOString(),
    };
    const told = (kind: string, resources: readonly string[], more: Record<string, string | object>) =>
      this.#cloud.goOn(
        this.#cloud.publish({
          source: "aws.ssm",
          "detail-type": `EC2 Command ${kind}Status-change Notification`,
          resources,
          detail: { ...detail, ...more } as never,
        }),
      );
    told("Invocation ", [each.node.arn], { "instance-id": each.node.id, status: coarse(status) });
    const whole = coarse(this.status);
    if (whole === this.#told) return;
    this.#told = whole;
    told(
      "",
      this.order.nodes.map(({ arn }) => arn),
      { "expire-after": new Date(this.expiresAt).toISOString(), parameters: this.order.parameters, status: whole },
    );
  }
}

/** A number as it is, or that share of the whole. */
function share(text: string, whole: number): number {
  return text.endsWith("%") ? Math.floor((Number.parseInt(text, 10) * whole) / 100) : Number(text);
}
