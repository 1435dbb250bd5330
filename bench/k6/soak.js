// Does it grow slower with time? A household's trickle for long: 30 s here, hours with SECONDS=7200. The last third is held against
// the first: more than twice its p95 is told, and stands in the summary.

import exec from "k6/execution";
import { Trend } from "k6/metrics";

import { cupboard } from "./lib/api.js";
import { look } from "./lib/mix.js";
import { options as made, rate } from "./lib/options.js";
import { written } from "./lib/summary.js";

const OPERATION = "soak";
const LASTS_S = Number(__ENV.SECONDS || (__ENV.QUICK === "1" ? 10 : 30));
const PER_SECOND = Number(__ENV.RATE || 5);
const AT_MOST = 2;

const first = new Trend("soak_first_third", true);
const last = new Trend("soak_last_third", true);

export const options = made("soak", [OPERATION], { soak: rate(PER_SECOND, "somebody", OPERATION, 0, LASTS_S) });

export const setup = cupboard;

export function somebody(home) {
  const third = (Date.now() - exec.scenario.startTime) / 1000 / (LASTS_S / 3);
  const answer = look(OPERATION, home);
  if (answer.status < 200 || answer.status > 299) {
    return; // a fast error makes nothing faster
  }
  if (third < 1) {
    first.add(answer.timings.duration);
  } else if (third >= 2) {
    last.add(answer.timings.duration);
  }
}

export function handleSummary(data) {
  const [early, late] = ["soak_first_third", "soak_last_third"].map((name) => data.metrics[name] && data.metrics[name].values["p(95)"]);
  if (!early || !late) {
    return written(data, { soak: null }, "too short, or too often failed, to hold the last third against the first\n");
  }
  const soak = { first_third_p95_ms: early, last_third_p95_ms: late, ratio: late / early, at_most: AT_MOST, held: late <= AT_MOST * early };
  const verdict = soak.held ? `not more than ${AT_MOST} times` : `MORE than ${AT_MOST} times`;
  return written(data, { soak }, `p95 of the last third ${late.toFixed(1)} ms, of the first ${early.toFixed(1)} ms: ${verdict}\n`);
}
