-- wrk prints 50, 75, 90 and 99 %. This adds one line, in microseconds, when all is over.
done = function(_, latency, _)
  local at = function(share) return latency:percentile(share) end
  io.write(string.format('latency: %d %d %d\n', at(50), at(99), at(99.9)))
end
