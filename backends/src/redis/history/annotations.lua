-- KEYS: stream, order of annotations, annotations. ARGV: last time, first time, most, now in microseconds.
local found, to = {}, '[A' .. ARGV[1] .. ';'
while #found < tonumber(ARGV[3]) do
  local members = redis.call('ZREVRANGEBYLEX', KEYS[2], to, '[A' .. ARGV[2], 'LIMIT', 0, 100)
  for _, member in ipairs(members) do
    to = '(' .. member
    local at, message = string.sub(member, 2, 21), string.sub(member, 23)
    local id = tonumber(string.sub(message, 1, 16)) .. '-' .. tonumber(string.sub(message, 17))
    local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
    local expires = entry and entry[2][4]
    local says = redis.call('HGET', KEYS[3], at)
    if says and entry and not (expires and tonumber(expires) <= tonumber(ARGV[4])) then
      found[#found + 1] = {message, at, says}
      if #found == tonumber(ARGV[3]) then
        break
      end
    end
  end
  if #members < 100 then
    break
  end
end
return found
