// Where a scenario leaves its figures: one JSON file, and a table for whoever watches.

import { BASE_URL } from "./api.js";

const TAGGED = /^http_req_duration\{operation:(.+)\}$/;

export function summary(data) {
  const file = __ENV.SUMMARY || "k6-summary.json";
  const told = { ...data, base_url: BASE_URL, quick: __ENV.QUICK === "1", writes: __ENV.WRITES === "1" };
  return { [file]: JSON.stringify(told, null, 2), stdout: table(data.metrics) };
}

function table(metrics) {
  const tagged = Object.keys(metrics).map((name) => TAGGED.exec(name)).filter(Boolean);
  const operations = tagged.map((found) => found[1]).filter((each) => value(metrics, "http_reqs", each, "count") > 0);
  const heading = ["operation", "requests", "failed", "mean", "p95", "p99"];
  const rows = operations.sort(byUsers).map((each) => row(metrics, each));
  const dropped = metrics.dropped_iterations ? `${metrics.dropped_iterations.values.count} could not even begin in time\n` : "";
  return `${[heading, ...rows].map(line).join("\n")}\n${dropped}`;
}

function row(metrics, operation) {
  const count = (metric, field) => String(value(metrics, metric, operation, field));
  const ms = (field) => `${value(metrics, "http_req_duration", operation, field).toFixed(1)} ms`;
  return [operation, count("http_reqs", "count"), count("http_req_failed", "passes"), ms("avg"), ms("p(95)"), ms("p(99)")];
}

function value(metrics, metric, operation, field) {
  const found = metrics[`${metric}{operation:${operation}}`];
  return found ? found.values[field] : 0;
}

// ramp_up_25_users before ramp_up_100_users.
function byUsers(one, other) {
  const users = (name) => Number((/\d+/.exec(name) || ["0"])[0]);
  return one.endsWith("_thinking") - other.endsWith("_thinking") || users(one) - users(other);
}

function line(cells) {
  return cells.map((cell, place) => (place === 0 ? cell.padEnd(28) : cell.padStart(11))).join("");
}
