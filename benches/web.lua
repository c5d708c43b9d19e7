-- Has wrk print what it counted as one line of JSON.
function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      '{"microseconds": %d, "requests": %d, "p50": %d, "p99": %d, "errors": %d}\n',
      summary.duration, summary.requests, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
