-- A job leaves its private list, once, and what follows from that happens in the same step.
-- KEYS: private list, lease of its process, its exits, then what the commands name
-- ARGV: payload; "dead" where the process must hold no lease, "free" where the job lies in no list, else ""; which of its
--   exits ("" for none) with the number of this use of it; then for each command: its name, the index of its key, how
--   many further arguments, those arguments
-- The first command, where it is ZADD, RPUSH or LPUSH, stores the job elsewhere; where it is refused the job goes back into its
--   private list and the error is returned. What follows cannot be refused: a lock or a status that holds something else
--   must not keep a job that ended. Four names are ours: DELIF deletes a key that holds a value (a lock of ours), FREE gives up
--   a place among the running and hands it on to a job that waits for one (see hand.lua), CLOSE
--   tells a batch what became of the job (see batch.lua), TELL tells its status (see tell.lua).
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
-- include hand
local function delete_if(key, value)
  if redis.call('GET', key) == value then
    redis.call('DEL', key)
  end
end
local function free(slots, member, waiting, prefix)
  if redis.call('ZREM', slots, member) == 1 then
    hand(waiting, 1, prefix)
  end
end
-- include batch
-- include tell
local at = 5
while at <= #ARGV do
  local name, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  local words = {}
  for offset = 1, count do
    words[offset] = ARGV[at + 2 + offset]
  end
  local storing = at == 5 and (name == 'ZADD' or name == 'RPUSH' or name == 'LPUSH')
  at = at + 3 + count
  local answer
  if name == 'DELIF' then
    answer = pcall(delete_if, key, words[1])
  elseif name == 'FREE' then
    answer = pcall(free, key, unpack(words))
  elseif name == 'CLOSE' then
    answer = pcall(close, key, unpack(words))
  elseif name == 'TELL' then
    answer = pcall(tell, key, unpack(words))
  else
    answer = redis.pcall(name, key, unpack(words))
  end
  if storing and type(answer) == 'table' and answer.err then
    if ARGV[2] ~= 'free' then
      redis.call('RPUSH', KEYS[1], ARGV[1])
    end
    return answer
  end
end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
end
return 1
