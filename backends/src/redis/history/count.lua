-- KEYS: stream. ARGV: first id, last id, now in microseconds.
local count, from = 0, ARGV[1]
while true do
  local entries = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', 1000)
  for _, entry in ipairs(entries) do
    local expires = entry[2][4]
    if not expires or tonumber(expires) > tonumber(ARGV[3]) then
      count = count + 1
    end
  end
  if #entries < 1000 then
    return count
  end
  from = '(' .. entries[#entries][1]
end
