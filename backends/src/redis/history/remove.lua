-- KEYS: order of annotations, annotations. ARGV: message, at.
if not redis.call('ZSCORE', KEYS[1], 'M' .. ARGV[1] .. ':' .. ARGV[2]) then
  return false
end
local says = redis.call('HGET', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[1], 'M' .. ARGV[1] .. ':' .. ARGV[2], 'A' .. ARGV[2] .. ':' .. ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[2], 'K' .. ARGV[1] .. says)
return says
