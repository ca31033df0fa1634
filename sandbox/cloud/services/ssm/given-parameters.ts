import { CallRefused } from "../../service.ts";
import type { CommandDocument, DocumentParameter } from "./document.ts";

/** Values by name: of a `String` one, of a `StringList` several. */
export type Values = Readonly<Record<string, string | readonly string[]>>;

/**
 * The value of each parameter of a document, as a command gives it or by default.
 *
 * @throws CallRefused `InvalidParameters` for a name that the document does not have, a value that is missing, or one that it does not allow.
 */
export function givenParameters(
  { parameters }: CommandDocument,
  given: Readonly<Record<string, readonly string[]>>,
): Values {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(parameters, name));
  if (unknown !== undefined) throw refused(`the document has no parameter ${unknown}`);
  return Object.fromEntries(
    Object.entries(parameters).map(([name, parameter]) => [name, chosenValue(name, parameter, given[name])]),
  );
}

function chosenValue(name: string, parameter: DocumentParameter, given: readonly string[] | undefined) {
  if (given === undefined) {
    if (parameter.default === undefined) throw refused(`${name} has no value`);
    return parameter.default;
  }
  if (parameter.type === "String" && given.length !== 1) throw refused(`${name} has not one value`);
  if (!given.every((value) => allows(parameter, value)))
    throw refused(`the document does not allow this value of ${name}`);
  return parameter.type === "String" ? given[0]! : given;
}

function allows(
  { allowedPattern, allowedValues, minChars = 0, maxChars = Number.POSITIVE_INFINITY }: DocumentParameter,
  value: string,
): boolean {
  return (
    allowedPattern?.test(value) !== false &&
    allowedValues?.includes(value) !== false &&
    value.length >= minChars &&
    value.length <= maxChars
  );
}

const refused = (message: string) => new CallRefused("InvalidParameters", message);
