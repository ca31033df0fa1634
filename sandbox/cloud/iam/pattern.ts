import { kindOfKey } from "./condition-keys.ts";

/** Whether a value fits, with what the request says for the pattern's variables. */
export type Pattern = (value: string, variable: Variable) => boolean;

/** The value of a key with one value; `undefined` where the request has none. */
export type Variable = (key: string) => string | undefined;

/**
 * A text of a policy to compare values with: `${key}` and `${key, 'default'}` stand for what the request says, `${*}`,
 * `${?}` and `${$}` for these characters. What a variable stands for is taken literally, wildcards and all. A variable
 * without a value fits nothing. Source: "IAM policy elements: variables and tags".
 *
 * @param like - `equals`: the same text; `like`: `*` and `?` are wildcards; `arn`: they are, and reach over no colon but
 *   in the last of an ARN's six parts ("IAM JSON policy elements: Resource").
 * @throws Error where it is no such text.
 */
export function pattern(
  text: string,
  like: "equals" | "like" | "arn",
  { ignoreCase = false }: { readonly ignoreCase?: boolean } = {},
): Pattern {
  const pieces = piecesOf(text);
  const everything = like === "arn" && text === "*";
  const colons = pieces.map((piece) => ("literal" in piece ? piece.literal.split(":").length - 1 : 0));
  if (like === "arn" && !everything && colons.reduce((sum, each) => sum + each, 0) < 5) {
    throw new Error(`no ARN: ${text}`);
  }
  const build = (variable: Variable): RegExp | undefined => {
    let source = "";
    let part = 0;
    for (const piece of pieces) {
      if ("key" in piece) {
        const value = variable(piece.key) ?? piece.byDefault;
        if (value === undefined) return undefined;
        source += literally(value);
      } else if ("exactly" in piece) {
        source += literally(piece.exactly);
      } else {
        for (const character of piece.literal) {
          const bounded = like === "arn" && !everything && part < 5;
          if (character === ":") part++;
          if (like !== "equals" && character === "*") source += bounded ? "[^:]*" : ".*";
          else if (like !== "equals" && character === "?") source += bounded ? "[^:]" : ".";
          else source += literally(character);
        }
      }
    }
    return new RegExp(`^${source}$`, ignoreCase ? "sui" : "su");
  };
  const fixed = pieces.some((piece) => "key" in piece) ? undefined : build(() => undefined);
  return (value, variable) => (fixed ?? build(variable))?.test(value) ?? false;
}

/** Patterns of actions: `s3:Get*`, in any case. @throws Error where it is none. */
export function actionPattern(text: string): Pattern {
  if (text !== "*" && !/^[a-z0-9-]+:[a-z0-9*?]+$/i.test(text)) throw new Error(`no action: ${text}`);
  return pattern(text, "like", { ignoreCase: true });
}

type Piece =
  | { readonly literal: string }
  | { readonly exactly: string }
  | { readonly key: string; readonly byDefault: string | undefined };

function piecesOf(text: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let rest = text;
  while (rest !== "") {
    const start = rest.indexOf("${");
    if (start < 0) return [...pieces, { literal: rest }];
    const end = rest.indexOf("}", start);
    if (end < 0) throw new Error(`a variable without an end: ${text}`);
    if (start > 0) pieces.push({ literal: rest.slice(0, start) });
    pieces.push(variableOf(rest.slice(start + 2, end)));
    rest = rest.slice(end + 1);
  }
  return pieces;
}

function variableOf(inside: string): Piece {
  if (["*", "?", "$"].includes(inside)) return { exactly: inside };
  const [, key, byDefault] = /^\s*([^,\s]+)\s*(?:,\s*'([^']*)'\s*)?$/.exec(inside) ?? [];
  if (key === undefined) throw new Error(`no policy variable: ${inside}`);
  if (kindOfKey(key) !== "single") throw new Error(`a key of several values is no variable: ${key}`);
  return { key, byDefault };
}

/** Source of a regular expression that fits this text alone. */
export function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
