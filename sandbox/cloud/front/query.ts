import { element, type Xml } from "../s3/xml.ts";
import type { Protocol, Received } from "./protocol.ts";

/** "AWS Query protocol" of the Smithy documentation: a form comes in, XML goes out. */
export function queryProtocol(service: string, { body }: Received): Protocol {
  const form = new URLSearchParams(body.toString());
  const namespace = `https://${service}.amazonaws.com/doc/${form.get("Version")}/`;
  const document = (root: string, content: readonly (Xml | undefined)[]) => {
    const inside = content.map((each) => each?.text ?? "").join("");
    return `<${root} xmlns="${namespace}">${inside}</${root}>`;
  };
  const headers = { "content-type": "text/xml" };
  return {
    plainCodes: true,
    read() {
      const { Action, Version: _, ...input } = membersOf(form) as { Action: string; Version: string };
      return { operation: Action, input };
    },
    reply: (operation, output) => ({
      status: 200,
      headers,
      body: document(`${operation}Response`, [element(`${operation}Result`, contentOf(output))]),
    }),
    refuse: ({ code, message, status }) => ({
      status,
      headers,
      body: document("ErrorResponse", [
        element("Error", [element("Type", "Sender"), element("Code", code), element("Message", message)]),
      ]),
    }),
  };
}

type Tree = string | { [name: string]: Tree };

/** `A.member.1.B=c` is `{A: [{B: "c"}]}`, and `A.entry.1.key=b&A.entry.1.value=c` is `{A: {b: "c"}}`. */
function membersOf(form: URLSearchParams): unknown {
  const root: { [name: string]: Tree } = {};
  for (const [name, value] of form) {
    const path = name.split(".");
    let at = root;
    for (const step of path.slice(0, -1)) {
      at[step] ??= {};
      if (typeof at[step] === "string") throw new Error(`${name} is a text and has members`);
      at = at[step];
    }
    at[path.at(-1)!] = value;
  }
  return gathered(root);
}

function gathered(tree: Tree): unknown {
  if (typeof tree === "string") return tree;
  const { member, entry } = tree;
  if (member !== undefined) return inOrder(member).map(gathered);
  if (entry !== undefined) {
    const pairs = inOrder(entry) as { key?: string; Name?: string; value?: Tree; Value?: Tree }[];
    return Object.fromEntries(pairs.map((each) => [each.key ?? each.Name, gathered((each.value ?? each.Value)!)]));
  }
  return Object.fromEntries(Object.entries(tree).map(([name, each]) => [name, gathered(each)]));
}

function inOrder(numbered: Tree): readonly Tree[] {
  return Object.entries(numbered)
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, each]) => each);
}

function contentOf(output: object): readonly (Xml | undefined)[] {
  return Object.entries(output).map(([name, value]) => {
    if (Array.isArray(value))
      return element(
        name,
        value.map((each) => member("member", each)),
      );
    return member(name, value);
  });
}

function member(name: string, value: unknown): Xml | undefined {
  if (value === undefined) return undefined;
  return element(name, typeof value === "object" && value !== null ? contentOf(value) : String(value));
}
