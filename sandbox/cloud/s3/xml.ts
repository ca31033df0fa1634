import { malformedXml } from "./errors.ts";

/** An XML document without attributes, as S3's requests have them. */
export interface XmlElement {
  readonly name: string;
  /** What stands in an element without children; of one with children, always empty. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

const namespaceOfS3 = "http://s3.amazonaws.com/doc/2006-03-01/";

/** Text that is put into a document as it is. */
export class Xml {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** An element of text (escaped) or of elements; `undefined` leaves it out. */
export function element(
  name: string,
  content: string | number | boolean | undefined | readonly (Xml | undefined)[],
): Xml | undefined {
  if (content === undefined) return undefined;
  return new Xml(`<${name}>${typeof content === "object" ? inner(content) : escaped(String(content))}</${name}>`);
}

export function xmlDocument(
  root: string,
  content: readonly (Xml | undefined)[],
  { namespace = true }: { readonly namespace?: boolean } = {},
): string {
  const attribute = namespace ? ` xmlns="${namespaceOfS3}"` : "";
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${attribute}>${inner(content)}</${root}>`;
}

function inner(content: readonly (Xml | undefined)[]): string {
  return content.map((each) => each?.text ?? "").join("");
}

/** Control characters, which XML 1.0 can not hold, as S3 writes them: by number. */
function escaped(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: keys may hold them
    /[&<>"\u0000-\u001f\u007f]/g,
    (character) => named[character] ?? `&#x${character.charCodeAt(0).toString(16)};`,
  );
}

const named: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

const deepest = 8;

/**
 * The root element of a document.
 *
 * Knows elements, text, the five named entities, numbered characters, one declaration, and a namespace. Anything else (a
 * document type with its entities above all) is refused: what it would mean, nobody here has to know.
 *
 * @returns `undefined` when it is no such document.
 */
export function parseXml(text: string): XmlElement | undefined {
  const open: { name: string; text: string; children: XmlElement[] }[] = [{ name: "", text: "", children: [] }];
  const body = text.replace(/^\uFEFF?\s*(<\?xml\b[^<>?]*\?>)?/, "").trimEnd();
  const token = /<(\/?)([A-Za-z][\w:.-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;
  while (token.lastIndex < body.length) {
    const found = token.exec(body);
    if (found === null) return undefined;
    const [, closing, name, attributes, empty, characters] = found;
    const top = open.at(-1)!;
    if (characters !== undefined) {
      const plain = unescaped(characters);
      if (plain === undefined || (open.length === 1 && plain.trim() !== "")) return undefined;
      top.text += plain;
      continue;
    }
    if (!/^(\s+xmlns(:\w+)?\s*=\s*\S+|\s+xsi:type\s*=\s*\S+)*$/.test(attributes!)) return undefined;
    if (closing === "") {
      if (open.length > deepest) return undefined;
      open.push({ name: name!, text: "", children: [] });
    }
    if (closing !== "" || empty !== "") {
      const done = open.pop()!;
      if (done.name !== name || open.length === 0) return undefined;
      if (done.children.length > 0 && done.text.trim() !== "") return undefined;
      open.at(-1)!.children.push({ ...done, text: done.children.length > 0 ? "" : done.text });
    }
  }
  const [root, ...more] = open[0]!.children;
  return open.length === 1 && more.length === 0 ? root : undefined;
}

function unescaped(text: string): string | undefined {
  let whole = true;
  const plain = text.replace(/&(?:(#x[0-9a-fA-F]{1,6}|#[0-9]{1,7}|amp|lt|gt|quot|apos);)?/g, (entity, what) => {
    const code = /^#x/.test(what ?? "") ? Number.parseInt(what.slice(2), 16) : Number(String(what).slice(1));
    const character = what === undefined ? undefined : (entities[what] ?? characterOf(code));
    if (character === undefined) whole = false;
    return character ?? entity;
  });
  return whole ? plain : undefined;
}

function characterOf(code: number): string | undefined {
  return code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
}

const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** The children of an element. @throws S3Error when one has another name. */
export function childrenOf(parent: XmlElement, names: readonly string[]): readonly XmlElement[] {
  if (parent.children.some(({ name }) => !names.includes(name))) throw malformedXml();
  return parent.children;
}

/** The text of the only child with this name, `undefined` when there is none. */
export function textOf(parent: XmlElement, name: string): string | undefined {
  const [found, ...more] = parent.children.filter((each) => each.name === name);
  if (more.length > 0 || (found?.children.length ?? 0) > 0) throw malformedXml();
  return found?.text;
}
