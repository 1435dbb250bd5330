// Does it answer at all? Two members look at their medicines for a few seconds.
//
//   k6 run -e BASE_URL=http://127.0.0.1:8080 -e TOKEN=… bench/k6/smoke.js

import { sleep } from "k6";

import { read } from "./lib/api.js";
import { summary } from "./lib/summary.js";

export const options = {
  scenarios: {
    household: { executor: "constant-vus", vus: 2, duration: __ENV.DURATION || "5s" },
  },
  // Counts only: times depend on the machine, and are judged elsewhere.
  thresholds: { checks: ["rate==1"], http_req_failed: ["rate==0"] },
  summaryTrendStats: ["avg", "min", "med", "max", "p(95)", "p(99)"],
};

export default function look() {
  const medicines = read("/medicines");
  if (medicines !== null && medicines.items.length > 0) {
    read(`/medicines/${medicines.items[0].id}`, "/medicines/{id}");
  }
  read("/medicines/pending");
  read("/medicines/low-stock");
  read("/history");
  sleep(0.2);
}

export const handleSummary = summary;
