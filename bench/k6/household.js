// What does a household feel? Five members look about and think; with WRITES=1 each now and then takes a dose and undoes it.

import { sleep } from "k6";
import exec from "k6/execution";

import { WRITES, act, cupboard } from "./lib/api.js";
import { look } from "./lib/mix.js";
import { options as made, users } from "./lib/options.js";
import { summary } from "./lib/summary.js";

const OPERATION = "household";
const MEMBERS = Number(__ENV.USERS || 5);

export const options = made([OPERATION], { household: users(MEMBERS, "member", OPERATION, 0, 1) });

export const setup = cupboard;

export function member(home) {
  const number = exec.vu.idInTest - 1;
  if (exec.vu.iterationInInstance === 0) {
    sleep(Math.random()); // people do not all begin at once
  }
  const dose = home.doses[number];
  if (WRITES && dose && exec.vu.iterationInInstance % 5 === 2) {
    act(OPERATION, `/doses/${dose}/take`, "/doses/{id}/take"); // a dose of one's own: nobody races for it
    sleep(0.5);
    act("none", `/doses/${dose}/undo`, "/doses/{id}/undo");
  } else {
    look(OPERATION, home);
  }
  sleep(0.5 + Math.random());
}

export const handleSummary = summary;
