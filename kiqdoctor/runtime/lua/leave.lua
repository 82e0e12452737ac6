-- A job leaves its private list, once, and what follows from that happens in the same step.
-- KEYS: private list, lease of its process, its exits, then what the commands name
-- ARGV: payload; "dead" where the process must hold no lease, "free" where the job lies in no list, else ""; which of its
--   exits ("" for none) with the number of this use of it; then for each command: its name, the index of its key, how
--   many further arguments, those arguments
-- What a command may be, and what a refusal of the first one means, is said in follow.lua: then the job goes back into its
--   private list and the error is returned.
-- Returns 1 where it left now, or by this very use of the exit, of which the reply was lost; 0 where it had left before;
--   -1 where the process is not dead: then nothing was done. Without the number a request that is repeated would take an
--   equal job with it.
-- Cost: O(length of the private list + log n).
if ARGV[2] == 'dead' and redis.call('EXISTS', KEYS[2]) == 1 then -- here, since it may reclaim its lease at any time
  return -1
end
if ARGV[3] ~= '' and redis.call('HGET', KEYS[3], ARGV[3]) == ARGV[4] then
  return 1
end
-- Whoever removes it decides what becomes of it: so a failure is neither lost nor doubled, and a recovered job's first
-- owner cannot undo what its second did.
if ARGV[2] ~= 'free' and redis.call('LREM', KEYS[1], -1, ARGV[1]) == 0 then
  return 0
end
-- include follow
local at = 5
while at <= #ARGV do
  local name, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  local words = {}
  for offset = 1, count do
    words[offset] = ARGV[at + 2 + offset]
  end
  local refused = follow(name, key, words, at == 5)
  if refused then
    if ARGV[2] ~= 'free' then
      redis.call('RPUSH', KEYS[1], ARGV[1])
    end
    return refused
  end
  at = at + 3 + count
end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
end
return 1
