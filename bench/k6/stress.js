// What breaks first? Two hundred users, then five hundred, none of them thinks. Slower is fine; an error is not.

import { cupboard } from "./lib/api.js";
import { look } from "./lib/mix.js";
import { SECONDS, options as made, users } from "./lib/options.js";
import { summary } from "./lib/summary.js";

const STEPS = (__ENV.USERS || "200,500").split(",").map(Number);
const GAP_S = Number(__ENV.GAP || 3);

const scenarios = {};
STEPS.forEach((count, place) => {
  const operation = `stress_${count}_users`;
  scenarios[operation] = users(count, "user", operation, place * (SECONDS + GAP_S));
});

export const options = made("stress", Object.keys(scenarios), scenarios);

export const setup = cupboard;

export function user(home) {
  look(__ENV.OPERATION, home);
}

export const handleSummary = summary;
