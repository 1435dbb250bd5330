// What scenarios share: how long, and how the figures are summed up.

import { thresholds } from "./targets.js";

export const QUICK = __ENV.QUICK === "1";
export const SECONDS = Number(__ENV.SECONDS || (QUICK ? 3 : 10));

// What this run is, for its summary: a copy, for k6 puts its own values into the options that a file exports.
export const run = { scenario: "", options: {} };

export function options(scenario, operations, scenarios, more) {
  const made = {
    scenarios,
    thresholds: { ...thresholds(operations), ...more },
    summaryTrendStats: ["avg", "min", "med", "max", "p(95)", "p(99)"],
    discardResponseBodies: false,
    setupTimeout: "60s",
  };
  run.scenario = scenario;
  run.options = JSON.parse(JSON.stringify(made));
  return made;
}

// A closed loop: so many users, each waits for its answer and asks again, for so long.
export function users(count, exec, operation, startS, thinkS) {
  return {
    executor: "constant-vus",
    vus: count,
    duration: `${SECONDS}s`,
    startTime: `${startS}s`,
    gracefulStop: "10s",
    exec,
    env: { OPERATION: operation, THINK: String(thinkS || 0) },
  };
}

// An open model: so many requests a second, whatever happens.
export function rate(perSecond, exec, operation, startS, seconds) {
  return {
    executor: "constant-arrival-rate",
    rate: perSecond,
    timeUnit: "1s",
    duration: `${seconds || SECONDS}s`,
    startTime: `${startS || 0}s`,
    preAllocatedVUs: Math.max(5, Math.ceil(perSecond / 2)),
    maxVUs: Math.max(50, perSecond * 4),
    gracefulStop: "10s",
    exec,
    env: { OPERATION: operation },
    tags: { operation },
  };
}
