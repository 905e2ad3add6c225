-- KEYS: stream, order of annotations, annotations. ARGV: id, message, at, what it says, most for a message,
-- now in microseconds.
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
local expires = entry and entry[2][4]
if not entry or (expires and tonumber(expires) <= tonumber(ARGV[6])) then
  return 'missing'
end
local same = redis.call('HGET', KEYS[3], 'K' .. ARGV[2] .. ARGV[4])
if same then
  return same
end
local of_message = redis.call('ZLEXCOUNT', KEYS[2], '[M' .. ARGV[2] .. ':', '(M' .. ARGV[2] .. ';')
if of_message >= tonumber(ARGV[5]) then
  return 'full'
end
-- Those of publications that were trimmed go now, a few at a time.
local ms, rest = string.match(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1], '^(%d+)-(%d+)$')
local first = string.rep('0', 16 - #ms) .. ms .. string.rep('0', 4 - #rest) .. rest
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], '[M', '(M' .. first, 'LIMIT', 0, 100)) do
  local message, at = string.sub(member, 2, 21), string.sub(member, 23)
  local says = redis.call('HGET', KEYS[3], at)
  redis.call('ZREM', KEYS[2], member, 'A' .. at .. ':' .. message)
  redis.call('HDEL', KEYS[3], at, 'K' .. message .. (says or ''))
end
redis.call('ZADD', KEYS[2], 0, 'M' .. ARGV[2] .. ':' .. ARGV[3], 0, 'A' .. ARGV[3] .. ':' .. ARGV[2])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4], 'K' .. ARGV[2] .. ARGV[4], ARGV[3])
return 'OK'
