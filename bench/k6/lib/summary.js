// Where a scenario leaves its figures: one JSON file, and a line for whoever watches.

export function summary(data) {
  const file = __ENV.SUMMARY || "k6-summary.json";
  const requests = data.metrics.http_reqs.values;
  const duration = data.metrics.http_req_duration.values;
  const line = `${requests.count} requests, mean ${duration.avg.toFixed(1)} ms, p95 ${duration["p(95)"].toFixed(1)} ms\n`;
  return { [file]: JSON.stringify(data, null, 2), stdout: line };
}
