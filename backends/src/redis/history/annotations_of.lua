-- KEYS: order of annotations, annotations. ARGV: messages.
local found = {}
for place, message in ipairs(ARGV) do
  for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], '[M' .. message .. ':', '(M' .. message .. ';')) do
    local at = string.sub(member, 23)
    local says = redis.call('HGET', KEYS[2], at)
    if says then
      found[#found + 1] = {place - 1, at, says}
    end
  end
end
return found
