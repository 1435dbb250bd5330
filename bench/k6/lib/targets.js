// Thresholds from the same promises that dosette-bench judges by. Counts fail a run; times do so only with TIMES=1, for they
// belong to a machine.

const FILE = JSON.parse(open("../../src/dosette_bench/targets.json"));
const TIMES = __ENV.TIMES === "1";
const FIGURES = { mean_ms: "avg", median_ms: "med", p95_ms: "p(95)", p99_ms: "p(99)", max_ms: "max" };
const SIGNS = { below: "<", at_most: "<=", above: ">", at_least: ">=" };

// Of these operations. One that has no promise gets a threshold that always holds: k6 keeps figures by tag only where there is one.
export function thresholds(operations) {
  const found = {};
  for (const operation of operations) {
    found[`http_req_duration{operation:${operation}}`] = ["max>=0"];
    found[`http_req_failed{operation:${operation}}`] = ["rate>=0"];
    found[`http_reqs{operation:${operation}}`] = ["count>=0"];
    found[`dropped_iterations{operation:${operation}}`] = ["count>=0"];
    found[`moment{operation:${operation}}`] = ["value>=0"];
  }
  for (const target of FILE.targets) {
    if (target.suite === "load" && operations.includes(target.operation)) {
      add(found, target);
    }
  }
  return found;
}

function add(found, target) {
  const word = Object.keys(SIGNS).find((each) => each in target);
  if (target.metric === "success_rate") {
    found[`checks{operation:${target.operation}}`] = [`rate${SIGNS[word]}${target[word]}`];
  } else if (TIMES && target.metric in FIGURES) {
    found[`http_req_duration{operation:${target.operation}}`].push(`${FIGURES[target.metric]}${SIGNS[word]}${target[word]}`);
  }
}
