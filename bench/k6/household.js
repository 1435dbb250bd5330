// What does a household feel? Five members look about and think; with WRITES=1 each now and then takes a dose and undoes it.

import { sleep } from "k6";
import exec from "k6/execution";

import { WRITES } from "./lib/api.js";
import { takeAndUndo, takeable } from "./lib/doses.js";
import { look } from "./lib/mix.js";
import { options as made, users } from "./lib/options.js";
import { summary } from "./lib/summary.js";

const OPERATION = "household";
const MEMBERS = Number(__ENV.USERS || 5);
const UNDO_S = 0.5;

export const options = made("household", [OPERATION], { household: users(MEMBERS, "member", OPERATION, 0, 1) });

export const setup = takeable;

export function member(home) {
  const number = exec.vu.idInTest - 1;
  if (exec.vu.iterationInInstance === 0) {
    sleep(Math.random()); // people do not all begin at once
  }
  const taking = WRITES && exec.vu.iterationInInstance % 5 === 2;
  if (taking) {
    takeAndUndo(OPERATION, home, number, MEMBERS, UNDO_S); // one's own: nobody races for it
  } else {
    look(OPERATION, home);
  }
  sleep(0.5 + Math.random() - (taking ? UNDO_S : 0)); // a second on average, an undo's included
}

export const handleSummary = summary;
