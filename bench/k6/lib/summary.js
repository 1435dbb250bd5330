// Where a scenario leaves its figures: one JSON file, and a table for whoever watches.

import { BASE_URL } from "./api.js";
import { run } from "./options.js";

const TAGGED = /^http_req_duration\{operation:(.+)\}$/;
const WIDTHS = [28, 14, 8, 10, 8, 11, 11, 11, 9, 9];

export function summary(data) {
  return written(data, {}, "");
}

// With what only this scenario knows: more fields, and a line below the table.
export function written(data, more, below) {
  const file = __ENV.SUMMARY || "k6-summary.json";
  const about = { scenario: run.scenario, quick: __ENV.QUICK === "1", writes: __ENV.WRITES === "1", base_url: BASE_URL.replace(/\/\/[^/]*@/, "//") };
  const told = { ...data, ...about, k6_options: run.options, ...more };
  return { [file]: JSON.stringify(told, null, 2), stdout: table(data.metrics) + below };
}

function table(metrics) {
  const tagged = Object.keys(metrics).map((name) => TAGGED.exec(name)).filter(Boolean);
  const operations = tagged.map((found) => found[1]).filter((each) => value(metrics, "http_reqs", each, "count") > 0);
  const heading = ["operation", "load", "users", "requests", "failed", "mean", "p95", "p99", "good/s", "dropped"];
  const rows = operations.sort(bySize).map((each) => row(metrics, each));
  return `${[heading, ...rows].map(line).join("\n")}\n`;
}

function row(metrics, operation) {
  const [requests, failed] = [value(metrics, "http_reqs", operation, "count"), value(metrics, "http_req_failed", operation, "passes")];
  const lastedS = (value(metrics, "moment", operation, "max") - value(metrics, "moment", operation, "min")) / 1000;
  const ms = (field) => `${value(metrics, "http_req_duration", operation, field).toFixed(1)} ms`;
  const [model, size] = load(operation);
  const dropped = model === "open" ? value(metrics, "dropped_iterations", operation, "count") : "-";
  const perSecond = lastedS > 0 ? ((requests - failed) / lastedS).toFixed(1) : "-";
  return [operation, model, size, requests, failed, ms("avg"), ms("p(95)"), ms("p(99)"), perSecond, dropped];
}

// The model, and how many users or requests a second were asked for.
function load(operation) {
  const made = Object.values(run.options.scenarios).filter((each) => each.env.OPERATION === operation);
  if (made.every((each) => each.rate)) {
    return ["open", `${made.reduce((sum, each) => sum + each.rate, 0)}/s`];
  }
  return [Number(made[0].env.THINK) ? "closed, think" : "closed", made[0].vus];
}

function value(metrics, metric, operation, field) {
  const found = metrics[`${metric}{operation:${operation}}`];
  return (found && found.values[field]) || 0;
}

// ramp_up_25_users before ramp_up_100_users.
function bySize(one, other) {
  const size = (name) => Number((/\d+/.exec(name) || ["0"])[0]);
  return one.endsWith("_thinking") - other.endsWith("_thinking") || size(one) - size(other);
}

function line(cells) {
  return cells.map((cell, place) => (place < 2 ? String(cell).padEnd(WIDTHS[place]) : String(cell).padStart(WIDTHS[place]))).join("");
}
