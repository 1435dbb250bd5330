// Does it grow slower with time? A household's trickle for long: 30 s here, hours with SECONDS=7200. The last third is held against
// the first.

import { Trend } from "k6/metrics";

import { cupboard } from "./lib/api.js";
import { look } from "./lib/mix.js";
import { options as made, rate } from "./lib/options.js";
import { summary } from "./lib/summary.js";

const OPERATION = "soak";
const LASTS_S = Number(__ENV.SECONDS || (__ENV.QUICK === "1" ? 10 : 30));
const PER_SECOND = Number(__ENV.RATE || 5);

const first = new Trend("soak_first_third", true);
const last = new Trend("soak_last_third", true);

export const options = made([OPERATION], { soak: rate(PER_SECOND, "somebody", OPERATION, 0, LASTS_S) });

export function setup() {
  return { ...cupboard(), beganMs: Date.now() };
}

export function somebody(home) {
  const third = (Date.now() - home.beganMs) / 1000 / (LASTS_S / 3);
  const answer = look(OPERATION, home);
  if (third < 1) {
    first.add(answer.timings.duration);
  } else if (third >= 2) {
    last.add(answer.timings.duration);
  }
}

export function handleSummary(data) {
  const told = summary(data);
  const [began, ended] = ["soak_first_third", "soak_last_third"].map((name) => data.metrics[name]);
  if (began && ended) {
    const [early, late] = [began, ended].map((trend) => `${trend.values["p(95)"].toFixed(1)} ms`);
    told.stdout += `p95 of the first third ${early}, of the last ${late}\n`;
  }
  return told;
}
