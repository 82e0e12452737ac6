-- One command of those that go with a job's way out of its private list; included by leave.lua and fetch.lua.
-- Its name, its key, its further words, and whether it is the first. The first one, where it is ZADD, RPUSH, LPUSH or WAIT, stores
-- the job elsewhere: where it is refused, the refusal is returned, and whoever asked puts the job back. What follows cannot
-- be refused: a lock or a status that holds something else must not keep a job that ended.
-- Five names are ours: DELIF deletes a key that holds a value (a lock of ours), FREE gives up a place among the running, or
-- all of a process where its name ends in "|", and hands it on to jobs that wait for one (see hand.lua), CLOSE tells a batch
-- what became of the job (see batch.lua), TELL tells its status (see tell.lua), WAIT puts the job behind those of its class
-- that wait for room, or before them where it was its turn (the payload, the set of those whose turn it is, its jid).
-- include hand
local function delete_if(key, value)
  if redis.call('GET', key) == value then
    redis.call('DEL', key)
  end
end
local function free(slots, member, waiting, prefix, turns)
  local freed = 0
  if string.sub(member, -1) == '|' then
    for _, other in ipairs(redis.call('ZRANGE', slots, 0, -1)) do
      if string.sub(other, 1, #member) == member then
        freed = freed + redis.call('ZREM', slots, other)
      end
    end
  else
    freed = redis.call('ZREM', slots, member)
  end
  if freed > 0 then
    hand(waiting, freed, prefix, turns)
  end
end
-- include batch
-- include tell
local named = {DELIF = delete_if, FREE = free, CLOSE = close, TELL = tell}
local function follow(name, key, words, first)
  if name == 'WAIT' then
    name, words = redis.pcall('SREM', words[2], words[3]) == 1 and 'LPUSH' or 'RPUSH', {words[1]}
  end
  local own = named[name]
  if own then
    pcall(own, key, unpack(words))
    return nil
  end
  local answer = redis.pcall(name, key, unpack(words))
  if first and type(answer) == 'table' and answer.err and (name == 'ZADD' or name == 'RPUSH' or name == 'LPUSH') then
    return answer
  end
  return nil
end
