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
local epoch, run, seq = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'run', 'seq'))
if not epoch or run ~= ARGV[5] then
  epoch, seq = timetoken, 0
end
seq = string.format('%.0f', seq + ARGV[6])
local line = 'pw1 ' .. epoch .. ' ' .. seq .. ' ' .. timetoken .. '\n'
if KEYS[3] then
  local id = string.sub(timetoken, 1, -5) .. '-' .. tonumber(string.sub(timetoken, -4))
  local add = {'XADD', KEYS[3]}
  if ARGV[7] ~= '' then
    add[3], add[4], add[5] = 'MAXLEN', '~', ARGV[7]
  end
  add[#add + 1] = id
  add[#add + 1] = 'p'
  add[#add + 1] = line .. ARGV[2]
  if ARGV[9] ~= '' then
    add[#add + 1] = 'x'
    add[#add + 1] = string.format('%.0f', micros + ARGV[9])
  end
  redis.call(unpack(add))
  redis.call('HSET', KEYS[1], 'last', timetoken)
  if ARGV[8] ~= '' then
    redis.call('XTRIM', KEYS[3], 'MINID', '~', string.format('%.0f', string.sub(timetoken, 1, -5) - ARGV[8]))
    redis.call('PEXPIRE', KEYS[3], ARGV[8])
  end
end
redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', ARGV[5], 'seq', seq)
if ARGV[4] == '' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('EXPIRE', KEYS[1], ARGV[4])
end
redis.call('PUBLISH', ARGV[1], line .. ARGV[2])
return {epoch, tonumber(seq), timetoken}
