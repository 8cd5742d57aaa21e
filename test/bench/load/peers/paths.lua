-- Each request has a path of its own.
local count = 0
request = function()
  count = count + 1
  return wrk.format('GET', '/users/' .. count)
end
