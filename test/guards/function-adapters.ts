// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const runtimeS3 = "test/lambdas/runtime/s3.test.ts";
const events = "test/lambdas/runtime/events.test.ts";
const wrapped = "test/lambdas/runtime/handler.test.ts";
const fleet = "test/lambdas/runtime/ssm-fleet.test.ts";
const api = "test/lambdas/api/routes.test.ts";

/** What stands between the functions and AWS. */
export const functionAdapterGuards: readonly Guard[] = [
  {
    guard: "S3 is asked for the checksum of a pack",
    file: "lambdas/runtime/s3-vault.ts",
    find: ', ChecksumMode: "ENABLED"',
    replace: "",
    test: {
      file: runtimeS3,
      name: "is the size, the checksum and the version of an object, whatever it was uploaded as",
    },
  },
  {
    guard: "a data bucket that does not answer has not said that a pack is missing",
    file: "lambdas/runtime/s3-vault.ts",
    find: "if (status === 404) return undefined;",
    replace: "if (status !== 200) return undefined;",
    test: { file: runtimeS3, name: "that can not be reached says so, and never that something is absent" },
  },
  {
    guard: "a control bucket that does not answer has not said that nothing is known",
    file: "lambdas/runtime/s3-control-store.ts",
    find: "if (statusOf(error) === 404) return undefined;",
    replace: "if (statusOf(error) !== 200) return undefined;",
    test: { file: runtimeS3, name: "that can not be reached says so, and never that something is absent" },
  },
  {
    guard: "a new object of the control store takes no other's place",
    file: "lambdas/runtime/s3-control-store.ts",
    find: 'over === undefined ? { IfNoneMatch: "*" }',
    replace: "over === undefined ? {}",
    test: { file: runtimeS3, name: "replaces the state that was read, and no other" },
  },
  {
    guard: "the control store is listed to its end",
    file: "lambdas/runtime/s3-control-store.ts",
    find: "page.IsTruncated ? page.NextContinuationToken : undefined",
    replace: "undefined",
    test: { file: runtimeS3, name: "lists what comes after a key, over as many pages as it takes" },
  },
  {
    guard: "an event that the bus did not take is an error",
    file: "lambdas/runtime/events.ts",
    find: "if (FailedEntryCount === 0) continue;",
    replace: "if (FailedEntryCount >= 0) continue;",
    test: { file: events, name: "that were not all taken are an error, and may be sent again" },
  },
  {
    guard: "the bus is given no more events at once than it takes",
    file: "lambdas/runtime/events.ts",
    find: "details.slice(at, at + 10)",
    replace: "details.slice(at)",
    test: { file: events, name: "go to the default bus under its name, ten at a time" },
  },
  {
    guard: "a function that fails says so to Lambda",
    file: "lambdas/runtime/handler.ts",
    find: "        throw thrown;\n",
    replace: "        return undefined as never;\n",
    test: {
      file: wrapped,
      name: "that fails is tried again, and its log has the error's words and fix without what may name people",
    },
  },
  {
    guard: "a function has time left to say that its time is up",
    file: "lambdas/runtime/handler.ts",
    find: "remaining - lastWords",
    replace: "remaining",
    test: { file: wrapped, name: "ends its work three seconds before its time is up, so that it can say so" },
  },
  {
    guard: "a function without its variables does nothing",
    file: "lambdas/runtime/environment.ts",
    find: "if (value) return value;",
    replace: "if (!value) return name;",
    test: { file: wrapped, name: "does not go on without a variable that the stack sets" },
  },
  {
    guard: "a replaced object of the control store is not replaced again",
    file: "lambdas/runtime/s3-control-store.ts",
    find: ": { IfMatch: over.tag };",
    replace: ": {};",
    test: { file: runtimeS3, name: "replaces the state that was read, and no other" },
  },
  {
    guard: "backups are started on mail hosts only",
    file: "lambdas/runtime/ssm-fleet.ts",
    find: "          Filters: [{ Key: `tag:${tag.key}`, Values: [tag.value] }],\n",
    replace: "",
    test: { file: fleet, name: "is every machine with the tag, over all pages" },
  },
  {
    guard: "no machine is left out of a large fleet",
    file: "lambdas/runtime/ssm-fleet.ts",
    find: "        NextToken = page.NextToken;\n      } while",
    replace: "        NextToken = undefined;\n      } while",
    test: { file: fleet, name: "is every machine with the tag, over all pages" },
  },
  {
    guard: "a machine is busy while a command waits for it",
    file: "lambdas/runtime/ssm-fleet.ts",
    find: '["Pending", "InProgress"] as const',
    replace: '["InProgress"] as const',
    test: { file: fleet, name: "is busy where the document runs or waits, over all pages" },
  },
  {
    guard: "no running backup of a large fleet is overlooked",
    file: "lambdas/runtime/ssm-fleet.ts",
    find: "          NextToken = page.NextToken;\n        } while",
    replace: "          NextToken = undefined;\n        } while",
    test: { file: fleet, name: "is busy where the document runs or waits, over all pages" },
  },
  {
    guard: "a call of the API is of somebody",
    file: "lambdas/api/call.ts",
    find: "z.object({ authorizer: z.object({ iam: z.object({ userArn: z.string().min(1) }) }) }),",
    replace: "z.any(),",
    test: { file: api, name: "that nobody signed is none" },
  },
];
