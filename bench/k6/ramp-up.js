// How does waiting grow from 10 to 25, 50 and 100 users? First without thinking, as the first plan asked; then with a second
// between two looks, as people do, and there to 200: a whole house of them.

import { sleep } from "k6";
import exec from "k6/execution";

import { cupboard } from "./lib/api.js";
import { look } from "./lib/mix.js";
import { SECONDS, options as made, users } from "./lib/options.js";
import { summary } from "./lib/summary.js";

const STEPS = (__ENV.USERS || "10,25,50,100").split(",").map(Number);
const THINKING_STEPS = __ENV.USERS ? STEPS : [...STEPS, 200];
const THINK_S = 1;
const GAP_S = Number(__ENV.GAP || 1); // the last answers of one step do not meet the first requests of the next

const scenarios = {};
let startS = 0;
for (const thinkS of [0, THINK_S]) {
  for (const count of thinkS ? THINKING_STEPS : STEPS) {
    const operation = `ramp_up_${count}_users${thinkS ? "_thinking" : ""}`;
    scenarios[operation] = users(count, "user", operation, startS, thinkS);
    startS += SECONDS + GAP_S;
  }
}

export const options = made("ramp-up", Object.keys(scenarios), scenarios);

export const setup = cupboard;

export function user(home) {
  const thinkS = Number(__ENV.THINK);
  if (thinkS && exec.vu.iterationInScenario === 0) {
    sleep(Math.random() * thinkS); // else all would ask in the same moment, again and again
  }
  look(__ENV.OPERATION, home);
  if (thinkS) {
    sleep(thinkS * (0.5 + Math.random()));
  }
}

export const handleSummary = summary;
