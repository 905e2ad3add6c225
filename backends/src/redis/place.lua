local now = redis.call('TIME')
local micros, tenth = now[1] * 1000000 + now[2], 0
for _, seen in ipairs({redis.call('GET', KEYS[2]) or '', ARGV[3]}) do
  local seen_micros = tonumber(string.sub(seen, 1, -2))
  local seen_tenth = tonumber(string.sub(seen, -1))
  if seen_micros and (seen_micros > micros or (seen_micros == micros and seen_tenth >= tenth)) then
    micros, tenth = seen_micros, seen_tenth + 1
    if tenth == 10 then
      micros, tenth = micros + 1, 0
    end
  end
end
local timetoken = string.format('%.0f%d', micros, tenth)
redis.call('SET', KEYS[2], timetoken)
local epoch, run = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'run'))
if not epoch or run ~= ARGV[5] then
  epoch = timetoken
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', ARGV[5], 'seq', 0)
end
local seq = redis.call('HINCRBY', KEYS[1], 'seq', ARGV[6])
redis.call('EXPIRE', KEYS[1], ARGV[4])
local line = 'pw1 ' .. epoch .. ' ' .. string.format('%.0f', seq) .. ' ' .. timetoken .. '\n'
redis.call('PUBLISH', ARGV[1], line .. ARGV[2])
return {epoch, seq, timetoken}
