-- Gives publications their places, keeps them, and announces them, in order. See script.rs.
local LIVE_MICROS, BUCKET_MICROS, HOUR_MICROS = 60000000, 10000000, 3600000000
local floor, run = ARGV[1], ARGV[2]
local now = redis.call('TIME')
local micros, tenth = now[1] * 1000000 + now[2], -1
for _, seen in ipairs({redis.call('GET', KEYS[1]) or '', floor}) do
  local seen_micros = tonumber(string.sub(seen, 1, -2))
  local seen_tenth = tonumber(string.sub(seen, -1))
  if seen_micros and (seen_micros > micros or (seen_micros == micros and seen_tenth > tenth)) then
    micros, tenth = seen_micros, seen_tenth
  end
end

local function micros_of(timetoken)
  return tonumber(string.sub(timetoken, 1, -2))
end

local function publish(key_at, arg, timetoken, id)
  local key, kept, windowed = KEYS[key_at], ARGV[arg + 3] == '1', ARGV[arg + 4] ~= ''
  local found = redis.pcall('HMGET', key, 'epoch', 'run', 'seq', 'previous', 'last')
  if found.err then return found end
  local epoch, seq, previous, last = found[1], found[3], found[4], found[5]
  local is_new = not epoch or found[2] ~= run
  if is_new then
    epoch, seq, previous = timetoken, 0, '0'
  end
  previous = previous or '0'
  seq = string.format('%d', seq + ARGV[arg + 2])
  local previous_micros = previous ~= '0' and micros_of(previous) or 0
  local is_later = math.floor(micros / BUCKET_MICROS) ~= math.floor(previous_micros / BUCKET_MICROS)
  local message = 'pw2 ' .. epoch .. ' ' .. seq .. ' ' .. timetoken .. ' ' .. previous .. '\n' .. ARGV[arg + 1]
  if kept then
    local stream, entries, age, ttl = KEYS[key_at + 2], ARGV[arg + 6], ARGV[arg + 7], ARGV[arg + 8]
    local add = {'XADD', stream}
    if entries ~= '' then
      add[3], add[4], add[5] = 'MAXLEN', '~', entries
    end
    add[#add + 1] = id
    add[#add + 1] = 'p'
    add[#add + 1] = message
    if ttl ~= '' then
      add[#add + 1] = 'x'
      add[#add + 1] = string.format('%d', micros + ttl)
    end
    local added = redis.pcall(unpack(add))
    if type(added) == 'table' and added.err then return added end
    if age ~= '' and is_later then
      redis.pcall('XTRIM', stream, 'MINID', '~', string.format('%d', micros / 1000 - age))
      redis.pcall('PEXPIRE', stream, age + BUCKET_MICROS / 1000)
    end
  end
  if windowed then
    local window = KEYS[key_at + 1]
    local added = redis.pcall('XADD', window, 'MAXLEN', '~', ARGV[arg + 4], id, 'p', message)
    if type(added) == 'table' and added.err then return added end
    if is_later then
      redis.pcall('XTRIM', window, 'MINID', '~', string.format('%d', (micros - LIVE_MICROS) / 1000))
      redis.pcall('PEXPIRE', window, (LIVE_MICROS + BUCKET_MICROS) / 1000)
    end
  end
  local set
  if is_new then
    set = {'HSET', key, 'epoch', epoch, 'run', run, 'seq', seq, 'previous', timetoken}
  else
    set = {'HSET', key, 'seq', seq, 'previous', timetoken}
  end
  if kept then
    set[#set + 1] = 'last'
    set[#set + 1] = timetoken
  end
  local written = redis.pcall(unpack(set))
  if type(written) == 'table' and written.err then return written end
  -- The place of a channel that keeps messages lives as long as they do; signals among them do not shorten it.
  if kept or not last then
    if is_new or (kept and not last) or math.floor(micros / HOUR_MICROS) ~= math.floor(previous_micros / HOUR_MICROS) then
      if ARGV[arg + 5] == '' then
        redis.pcall('PERSIST', key)
      else
        redis.pcall('EXPIRE', key, ARGV[arg + 5])
      end
    end
  end
  if micros - previous_micros > LIVE_MICROS then
    redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', 100000, id, 'c', ARGV[arg])
    redis.pcall('PEXPIRE', KEYS[2], 2 * LIVE_MICROS / 1000)
  end
  local announced = redis.pcall('PUBLISH', ARGV[arg], message)
  if type(announced) == 'table' and announced.err then return announced end
  return epoch .. ' ' .. seq .. ' ' .. timetoken .. ' ' .. previous
end

local replies, key_at, arg, timetoken = {}, 3, 3, nil
while arg <= #ARGV do
  tenth = tenth + 1
  if tenth == 10 then
    micros, tenth = micros + 1, 0
  end
  timetoken = string.format('%d%d', micros, tenth)
  -- The id of an entry: milliseconds, and the rest in tenths of a microsecond.
  local id = string.format('%d-%d', micros / 1000, micros % 1000 * 10 + tenth)
  local kept = ARGV[arg + 3] == '1'
  replies[#replies + 1] = publish(key_at, arg, timetoken, id)
  key_at, arg = key_at + (kept and 3 or 2), arg + (kept and 9 or 6)
end
redis.call('SET', KEYS[1], timetoken)
return replies
