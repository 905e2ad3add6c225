-- Compares what a node has seen last of channels with their places. KEYS: places. ARGV: the run of the server, or nothing
-- where it is not compared; then the timetoken that the node has seen last of each, or 0. Answers with four values for each
-- that differs: its number in KEYS, epoch, run, timetoken of the last publication; the last three are empty where there is
-- no place.
local reply = {}
for at, key in ipairs(KEYS) do
  local place = redis.call('HMGET', key, 'epoch', 'run', 'previous')
  local run, previous = place[2] or '', place[3] or ''
  local is_same = previous == ARGV[at + 1] or (previous == '' and ARGV[at + 1] == '0')
  if not is_same or (ARGV[1] ~= '' and run ~= '' and run ~= ARGV[1]) then
    reply[#reply + 1] = at
    reply[#reply + 1] = place[1] or ''
    reply[#reply + 1] = run
    reply[#reply + 1] = previous
  end
end
return reply
