// 08:00: panels ask whether anything changed, members look at what is due, and with WRITES=1 take it. An open model: people and panels
// do not wait for each other, so a slow answer can't hide the ones behind it.

import exec from "k6/execution";

import { WRITES, act, cupboard, read } from "./lib/api.js";
import { look } from "./lib/mix.js";
import { options as made, rate } from "./lib/options.js";
import { summary } from "./lib/summary.js";

const OPERATION = "morning_rush";
const PER_SECOND = Number(__ENV.RATE || 50);
const TAKES_PER_SECOND = WRITES ? Math.ceil(PER_SECOND / 10) : 0;
const PANELS = 0.4;

const scenarios = { looks: rate(PER_SECOND - TAKES_PER_SECOND, "somebody", OPERATION) };
if (WRITES) {
  scenarios.takes = rate(TAKES_PER_SECOND, "taker", OPERATION);
}

export const options = made([OPERATION], scenarios);

export const setup = cupboard;

let etag = ""; // of this panel's last answer

export function somebody(home) {
  if (Math.random() < PANELS) {
    const answer = read(OPERATION, "/medicines/pending", null, etag ? { "If-None-Match": etag } : {});
    etag = answer.headers.Etag || etag;
  } else {
    look(OPERATION, home);
  }
}

// One dose after the other, each undone at once, so that it can be taken again: nobody races for one, which would be a 409.
export function taker(home) {
  if (home.doses.length === 0) {
    return;
  }
  const dose = home.doses[exec.scenario.iterationInTest % home.doses.length];
  act(OPERATION, `/doses/${dose}/take`, "/doses/{id}/take");
  act("none", `/doses/${dose}/undo`, "/doses/{id}/undo");
}

export const handleSummary = summary;
