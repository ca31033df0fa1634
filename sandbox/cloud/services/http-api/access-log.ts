/** What is known of a call when it has been answered, by the name of its variable ("Customize HTTP API access logs"). */
export type Variables = Readonly<Record<(typeof known)[number], string | undefined>>;

const known = [
  "$context.error.message",
  "$context.identity.sourceIp",
  "$context.identity.userArn",
  "$context.requestId",
  "$context.requestTime",
  "$context.routeKey",
  "$context.status",
] as const;

const variable = /\$context(?:\.\w+)+/g;

/** @throws Error for a format with a variable that is not known. */
export function checkFormat(format: string, place: string): void {
  const unknown = (format.match(variable) ?? []).find((name) => !known.some((each) => each === name));
  if (unknown !== undefined) throw new Error(`${place}: ${unknown} is not understood`);
}

/** One line of the access log. What a call does not have is written as `-`. */
export const accessLogLine = (format: string, variables: Variables): string =>
  format.replaceAll(variable, (name) => variables[name as keyof Variables] ?? "-");
