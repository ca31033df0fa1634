import type { Guard } from "./guard.ts";

const suite = "test/sandbox/fleet.test.ts";

/** The sandbox's fleet, and the shell of who operates it. */
export const fleetGuards: readonly Guard[] = [
  {
    guard: "the account's secret lies in files of the operator alone",
    file: "sandbox/fleet/operators-shell.ts",
    find: "{ mode: 0o600 }",
    replace: "{ mode: 0o644 }",
    test: {
      file: suite,
      name: "finds the account, and keeps its owner's secret in files that are the operator's alone",
    },
  },
  {
    guard: "a shell of the sandbox's operator forgets the credentials of a real account",
    file: "sandbox/fleet/operators-shell.ts",
    find: '    "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION",\n',
    replace: "",
    test: { file: suite, name: "does not go on with the credentials that somebody has for a real account" },
  },
  {
    guard: "a command of the tour that is refused fails",
    file: "sandbox/fleet/operators-shell.ts",
    find: '    "fail-with-body",\n',
    replace: "",
    test: { file: suite, name: "has commands that fail where the account refuses" },
  },
  {
    guard: "a host of the fleet that can not be enrolled is ended",
    file: "sandbox/fleet/fleet-host.ts",
    find: "  } catch (error) {\n    await stop();\n",
    replace: "  } catch (error) {\n",
    test: { file: suite, name: "a fleet that can not be started leaves no host behind" },
  },
  {
    guard: "an output is taken of one stack only",
    file: "sandbox/fleet/outputs.ts",
    find: " || others.length > 0",
    replace: "",
    test: { file: suite, name: "an output is of one stack" },
  },
];
