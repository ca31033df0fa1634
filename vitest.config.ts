import { defineConfig } from "vitest/config";

/** The suites, in the order of what they cost. A test file belongs to exactly one by its folder. */
const project = (name: string, include: string[], timeoutSeconds: number) => ({
  test: {
    name,
    include,
    testTimeout: timeoutSeconds * 1000,
    hookTimeout: timeoutSeconds * 1000,
    environment: "node" as const,
    // The CDK checks every synthesis once more, which only warns, and takes seconds of every file: one test synthesizes with it.
    env: { CDK_VALIDATION: "false" },
  },
});

export default defineConfig({
  test: {
    reporters: ["default", "./test/house/final-line-reporter.ts"],
    // One more than the processors of a small machine: tests wait for servers and for the disk a fifth of their time.
    maxWorkers: 3,
    projects: [
      project("unit", ["test/{house,setup,core,shipper,lambdas,sandbox}/**/*.test.ts"], 60),
      project("contract", ["test/contract/**/*.test.ts"], 60),
      project("infra", ["test/infra/**/*.test.ts"], 120),
      project("e2e", ["test/e2e/**/*.test.ts"], 300),
      ...(process.env.MAILARK_LONG
        ? [project("long", ["test/long/**/*.test.ts", "test/e2e/{*kill*,mail-sizes}.test.ts"], 3 * 3600)]
        : []),
    ],
  },
});
