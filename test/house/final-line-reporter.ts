import type { Reporter, TestModule } from "vitest/node";

/**
 * Ends the run with one line that anything can read: `N passed, N failed`.
 *
 * Under `CI` a skipped test counts as failed, since a check that did not run is not a check that passed.
 */
export default class FinalLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandled.length;
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      const broken = module.state() === "failed" && tests.every((test) => test.result().state !== "failed");
      if (broken) failed += 1;
      for (const test of tests) {
        const { state } = test.result();
        if (state === "passed") passed += 1;
        else if (state === "failed" || process.env.CI) failed += 1;
      }
    }
    if (failed > 0 || passed === 0) process.exitCode = 1;
    process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  }
}
