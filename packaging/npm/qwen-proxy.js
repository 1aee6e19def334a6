#!/usr/bin/env node
// Starts the binary that npm installed for this platform, with the same arguments, streams, signals and exit code.
"use strict";

const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const { constants } = require("node:os");
const { dirname, join } = require("node:path");

function isMusl() {
  const report = process.report?.getReport?.();
  return process.platform === "linux" && report !== undefined && report.header.glibcVersionRuntime === undefined;
}

function packageName() {
  const system = { linux: isMusl() ? "linux-musl" : "linux", darwin: "darwin", win32: "win32" }[process.platform];
  return `@qwen-proxy/${system ?? process.platform}-${process.arch}`;
}

function binary() {
  const name = packageName();
  try {
    const path = join(dirname(require.resolve(`${name}/package.json`)), process.platform === "win32" ? "qwen-proxy.exe" : "qwen-proxy");
    if (existsSync(path)) return path;
  } catch (fault) {
    if (fault.code !== "MODULE_NOT_FOUND") throw fault;
  }

  console.error(`qwen-proxy: the package ${name} is not installed.`);
  console.error("Either there is no build for this platform, or optional packages were left out: install without --no-optional and --omit=optional.");
  console.error("With the .NET runtime there is another way: dotnet tool install QwenProxy");
  process.exit(1);
}

const child = spawn(binary(), process.argv.slice(2), { stdio: "inherit" });
// A terminal sends Ctrl-C to both; a signal that was sent to this process alone is passed on. It ends when its child does.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) {
  if (process.platform === "win32" && signal === "SIGQUIT") continue;
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}

child.on("error", (fault) => {
  console.error(`qwen-proxy: could not start the binary: ${fault.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : code));
