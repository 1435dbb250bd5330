// One member's way to talk to Dosette. Runs on k6 1.x and 2.x; nothing is downloaded.

import http from "k6/http";
import { check } from "k6";

const BASE_URL = __ENV.BASE_URL || "http://127.0.0.1:8080";
const HEADERS = { Authorization: `Bearer ${__ENV.TOKEN || ""}` };

// GET /api/v1/<path>; `name` groups the paths that differ by an id only. The answer's JSON, or null.
export function read(path, name) {
  const answer = http.get(`${BASE_URL}/api/v1${path}`, { headers: HEADERS, tags: { name: name || path } });
  const good = check(answer, { "answered with 200": (told) => told.status === 200 }, { name: name || path });
  return good ? answer.json() : null;
}
