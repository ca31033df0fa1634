#!/usr/bin/env node
/**
 * The entry. What was compiled is kept beside the packages, where only whoever installed them can write: that takes two thirds of the time off
 * the start of every command.
 */
import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";

enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/mailark", import.meta.url)));
await import("./main.ts");
