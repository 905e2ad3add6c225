-- Reads what was published on a channel from a timetoken on. KEYS: place, window, stream where messages are kept.
-- ARGV: the id to begin with, the most bytes.
local place = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'previous')
local reply = {place[1] or '', place[2] or '', place[3] or ''}
for at = 2, #KEYS do
  local entries, bytes, from, has_more = {}, 0, ARGV[1], 0
  repeat
    local read = redis.call('XRANGE', KEYS[at], from, '+', 'COUNT', 32)
    for _, entry in ipairs(read) do
      if bytes > tonumber(ARGV[2]) then
        has_more = 1
        break
      end
      local fields = entry[2]
      for field = 1, #fields, 2 do
        if fields[field] == 'p' then
          entries[#entries + 1] = fields[field + 1]
          bytes = bytes + #fields[field + 1]
        end
      end
      from = '(' .. entry[1]
    end
  until #read < 32 or has_more == 1
  reply[#reply + 1] = entries
  reply[#reply + 1] = has_more
end
return reply
