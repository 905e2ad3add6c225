-- KEYS: stream, order of annotations, annotations. ARGV: first id, last id, most at once, now in microseconds.
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
local seen = 0
for _, entry in ipairs(entries) do
  redis.call('XDEL', KEYS[1], entry[1])
  local expires = entry[2][4]
  if not expires or tonumber(expires) > tonumber(ARGV[4]) then
    seen = seen + 1
  end
  local ms, rest = string.match(entry[1], '^(%d+)-(%d+)$')
  local message = string.rep('0', 16 - #ms) .. ms .. string.rep('0', 4 - #rest) .. rest
  for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], '[M' .. message .. ':', '(M' .. message .. ';')) do
    local at = string.sub(member, 23)
    local says = redis.call('HGET', KEYS[3], at)
    redis.call('ZREM', KEYS[2], member, 'A' .. at .. ':' .. message)
    redis.call('HDEL', KEYS[3], at, 'K' .. message .. (says or ''))
  end
end
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
end
return {#entries, seen}
