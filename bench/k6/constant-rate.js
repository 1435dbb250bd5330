// How long does one wait when 20, 50 or 100 requests come each second, whatever happens? An open model, for claims about latency.

import { cupboard } from "./lib/api.js";
import { look } from "./lib/mix.js";
import { SECONDS, options as made, rate } from "./lib/options.js";
import { summary } from "./lib/summary.js";

const RATES = (__ENV.RATE || "20,50,100").split(",").map(Number);
const GAP_S = Number(__ENV.GAP || 2);

const scenarios = {};
RATES.forEach((perSecond, place) => {
  const operation = `constant_${perSecond}_rps`;
  scenarios[operation] = rate(perSecond, "somebody", operation, place * (SECONDS + GAP_S));
});

export const options = made("constant-rate", Object.keys(scenarios), scenarios);

export const setup = cupboard;

export function somebody(home) {
  look(__ENV.OPERATION, home);
}

export const handleSummary = summary;
