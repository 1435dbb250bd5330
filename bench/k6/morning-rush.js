// 08:00: panels ask whether anything changed, members look at what is due, and with WRITES=1 take it. An open model: people and panels
// do not wait for each other, so a slow answer can't hide the ones behind it.

import exec from "k6/execution";

import { WRITES, read } from "./lib/api.js";
import { takeAndUndo, takeable } from "./lib/doses.js";
import { look } from "./lib/mix.js";
import { options as made, rate } from "./lib/options.js";
import { summary } from "./lib/summary.js";

const OPERATION = "morning_rush";
const PER_SECOND = Number(__ENV.RATE || 50);
const TAKES_PER_SECOND = WRITES ? Math.ceil(PER_SECOND / 10) : 0;
const PANELS = 0.4;
const REST_S = 5; // before a dose is taken again

const scenarios = { looks: rate(PER_SECOND - TAKES_PER_SECOND, "somebody", OPERATION) };
if (WRITES) {
  scenarios.takes = rate(TAKES_PER_SECOND, "taker", OPERATION);
}

export const options = made("morning-rush", [OPERATION], scenarios);

export const setup = takeable;

let etag = ""; // of this panel's last answer

export function somebody(home) {
  if (Math.random() < PANELS) {
    const answer = read(OPERATION, "/medicines/pending", null, etag ? { "If-None-Match": etag } : {});
    etag = answer.headers.Etag || etag;
  } else {
    look(OPERATION, home);
  }
}

export function taker(home) {
  takeAndUndo(OPERATION, home, exec.scenario.iterationInTest, TAKES_PER_SECOND * REST_S);
}

export const handleSummary = summary;
