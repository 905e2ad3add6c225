-- KEYS: place, last timetoken, stream. ARGV: epoch, seq, timetoken, id, publication, entries_max, expires.
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
if last and last[1] == ARGV[4] then
  return 'OK'
end
local add = {'XADD', KEYS[3]}
if ARGV[6] ~= '' then
  add[3], add[4], add[5] = 'MAXLEN', '~', ARGV[6]
end
add[#add + 1] = ARGV[4]
add[#add + 1] = 'p'
add[#add + 1] = ARGV[5]
if ARGV[7] ~= '' then
  add[#add + 1] = 'x'
  add[#add + 1] = ARGV[7]
end
redis.call(unpack(add))
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', ARGV[2], 'last', ARGV[3])
redis.call('PERSIST', KEYS[1])
local latest = redis.call('GET', KEYS[2])
if not latest or #latest < #ARGV[3] or (#latest == #ARGV[3] and latest < ARGV[3]) then
  redis.call('SET', KEYS[2], ARGV[3])
end
return 'OK'
