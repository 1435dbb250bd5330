// Does it answer at all? Two members look at their medicines for a few seconds.
//
//   k6 run -e BASE_URL=http://127.0.0.1:8080 -e TOKEN=… bench/k6/smoke.js

import { sleep } from "k6";

import { cupboard } from "./lib/api.js";
import { look } from "./lib/mix.js";
import { options as made, users } from "./lib/options.js";
import { summary } from "./lib/summary.js";

const OPERATION = "smoke";

export const options = made("smoke", [OPERATION], { smoke: users(2, "member", OPERATION, 0) }, { [`checks{operation:${OPERATION}}`]: ["rate==1"] });

export const setup = cupboard;

export function member(home) {
  look(OPERATION, home);
  sleep(0.2);
}

export const handleSummary = summary;
