// Taking a dose and undoing it, so that the household is as before. Only with WRITES=1: somebody's may be behind the address.

import { sleep } from "k6";

import { WRITES, act, cupboard, stop } from "./api.js";

// The cupboard of a scenario that takes doses. Without anything to take it would measure reading, and call it a rush.
export function takeable() {
  const home = cupboard();
  if (WRITES && home.doses.length + home.extras.length === 0) {
    stop("WRITES=1, but there is nothing to take: add a medicine with a daily schedule and no limits, or leave WRITES out");
  }
  return home;
}

// Turn `number` of `turns` takes the due dose of that number, else an extra dose, for which nobody can race. A due dose is not taken
// again before its turn comes again; a 409 is therefore a failure.
export function takeAndUndo(operation, home, number, turns, waitS) {
  const turn = number % Math.max(turns, home.doses.length);
  if (turn < home.doses.length || home.extras.length === 0) {
    const dose = home.doses[turn % home.doses.length];
    act(operation, `/doses/${dose}/take`, "/doses/{id}/take");
    undo(dose, waitS);
    return;
  }
  const medicine = home.extras[turn % home.extras.length];
  const answer = act(operation, `/medicines/${medicine}/take`, "/medicines/{id}/take", { extra: true });
  if (answer.status === 200) {
    undo(answer.json("id"), waitS);
  }
}

function undo(dose, waitS) {
  sleep(waitS || 0);
  act("none", `/doses/${dose}/undo`, "/doses/{id}/undo");
}
