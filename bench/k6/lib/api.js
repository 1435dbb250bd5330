// One member's way to talk to Dosette. Runs on k6 1.x and 2.x; nothing is downloaded.

import exec from "k6/execution";
import http from "k6/http";
import { check } from "k6";
import { Gauge } from "k6/metrics";

export const BASE_URL = (__ENV.BASE_URL || "http://127.0.0.1:8080").replace(/\/+$/, "");
export const WRITES = __ENV.WRITES === "1";
const API = `${BASE_URL}/api/v1`;
const HEADERS = { Authorization: `Bearer ${__ENV.TOKEN || ""}`, "Content-Type": "application/json" };

const moment = new Gauge("moment"); // from its first to its last value an operation went on: its throughput needs that

http.setResponseCallback(http.expectedStatuses({ min: 200, max: 299 }, 304));

// Before a scenario: what is in the cupboard, for everybody. Ends the run with one sentence when there is nothing to ask.
export function cupboard() {
  if (!__ENV.TOKEN) {
    stop("TOKEN is missing: make one with dosette token create --name k6 --scope read, and say -e TOKEN=…");
  }
  const answer = http.get(`${API}/medicines?limit=200`, { headers: HEADERS, tags: { name: "/medicines" } });
  if (answer.status === 401 || answer.status === 403) {
    stop(`${BASE_URL} answers with ${answer.status}: check TOKEN (dosette token create)`);
  }
  if (answer.status !== 200) {
    stop(`${BASE_URL} does not answer (${answer.error || `status ${answer.status}`}): is it running, is BASE_URL right?`);
  }
  const inUse = items(answer);
  const pending = http.get(`${API}/medicines/pending`, { headers: HEADERS, tags: { name: "/medicines/pending" } });
  return {
    medicines: inUse.map((medicine) => medicine.id),
    doses: pending.status === 200 ? items(pending).map((dose) => dose.id) : [],
    extras: WRITES ? inUse.map((medicine) => medicine.id).filter(hasNoLimits) : [],
  };
}

function items(answer) {
  let found = null;
  try {
    found = answer.json("items");
  } catch {
    // told below
  }
  return Array.isArray(found) ? found : stop(`${BASE_URL} answers, but not as Dosette does: is BASE_URL right?`);
}

// One more dose of such a medicine is refused to nobody, and moves no other dose.
function hasNoLimits(medicine) {
  const answer = http.get(`${API}/medicines/${medicine}/schedule`, { headers: HEADERS, tags: { name: "/medicines/{id}/schedule" } });
  if (answer.status !== 200) {
    return false;
  }
  const { kind, min_gap_minutes: gap, most_per_24_h: most } = answer.json();
  return kind === "fixed" && !gap && !most;
}

export function stop(why) {
  exec.test.abort(why);
}

// GET /api/v1/<path>; `name` groups the paths that differ by an id only. The answer, good or not.
export function read(operation, path, name, headers) {
  const answer = http.get(`${API}${path}`, { headers: { ...HEADERS, ...headers }, tags: { name: name || path, operation } });
  good(answer, operation);
  return answer;
}

// POST /api/v1/<path> once: each call has a key of its own. Only with WRITES=1: somebody's household may be behind the address.
export function act(operation, path, name, body) {
  const headers = { ...HEADERS, "Idempotency-Key": key() };
  const answer = http.post(`${API}${path}`, JSON.stringify(body || {}), { headers, tags: { name, operation } });
  good(answer, operation);
  return answer;
}

function good(answer, operation) {
  const endedMs = Date.now();
  moment.add(endedMs - answer.timings.duration, { operation });
  moment.add(endedMs, { operation });
  check(answer, { "answered as expected": (told) => (told.status >= 200 && told.status < 300) || told.status === 304 }, { operation });
}

function key() {
  const part = () => Math.floor(Math.random() * 0x100000000).toString(16).padStart(8, "0");
  return `k6-${part()}${part()}${part()}`;
}
