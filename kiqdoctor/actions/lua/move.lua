-- Moves jobs from one key to another, each whole: it is there, it is put down, then it is taken away.
-- KEYS: where they are, where they go, and, where a queue has to be registered for that, the set of queue names.
-- ARGV: zset, or the end of the queue that the search begins at: head or tail;
--       zset, or the end of the queue where they are put down: head or tail; the bare name to register, or "";
--       then for each job: its bytes, its bytes there, its score there (or "").
-- Answers a text a job: the score it had, "1" where it lay in a queue, "" where it had left.
-- Nothing moves where a key is of another kind.
-- Cost: O(log n) a job of a set; of a queue its distance from that end, twice.
local function wrong(key, end_of)
  local kind = end_of == 'zset' and 'zset' or end_of == 'set' and 'set' or 'list'
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. kind)
  end
end
local refused = wrong(KEYS[1], ARGV[1]) or wrong(KEYS[2], ARGV[2]) or (KEYS[3] and wrong(KEYS[3], 'set'))
if refused then return refused end

local rank = ARGV[1] == 'tail' and -1 or 1
local function score_of(member)
  if ARGV[1] == 'zset' then return redis.call('ZSCORE', KEYS[1], member) end
  return redis.call('LPOS', KEYS[1], member, 'RANK', rank) and '1'
end
local function take(member)
  if ARGV[1] == 'zset' then return redis.call('ZREM', KEYS[1], member) end
  return redis.call('LREM', KEYS[1], rank, member)
end
local function put(member, score)
  if ARGV[2] == 'zset' then return redis.call('ZADD', KEYS[2], score, member) end
  return redis.call(ARGV[2] == 'head' and 'LPUSH' or 'RPUSH', KEYS[2], member)
end

-- A user who may put down and may not take away would double jobs: it shows here, before anything is put down. A queue
-- would be searched to its end for what is not there, so LREM is told no number: that fails where it is permitted.
if ARGV[1] == 'zset' then
  take('kiqdoctor: nothing')
else
  local told = redis.pcall('LREM', KEYS[1], 'no number', '')
  if not string.find(told.err, 'integer', 1, true) then return told end
end

local answers, registered = {}, not KEYS[3]
for at = 4, #ARGV, 3 do
  local score = score_of(ARGV[at])
  if score then
    if not registered then registered = redis.call('SADD', KEYS[3], ARGV[3]) end
    put(ARGV[at + 1], ARGV[at + 2])
    take(ARGV[at])
  end
  answers[#answers + 1] = score or ''
end
return answers
