// Fifty users at once, ten requests each, none of them thinks: how long does one wait? (The first plan's question. Without thinking
// it asks for throughput: the mean can't be below 50 / throughput.)

import { cupboard } from "./lib/api.js";
import { look } from "./lib/mix.js";
import { options as made } from "./lib/options.js";
import { summary } from "./lib/summary.js";

const OPERATION = "concurrent_50_users";

export const options = made("concurrent-users", [OPERATION], {
  users: {
    executor: "per-vu-iterations",
    vus: Number(__ENV.USERS || 50),
    iterations: Number(__ENV.REQUESTS || 10),
    maxDuration: "120s",
    exec: "user",
    env: { OPERATION },
  },
});

export const setup = cupboard;

export function user(home) {
  look(OPERATION, home);
}

export const handleSummary = summary;
