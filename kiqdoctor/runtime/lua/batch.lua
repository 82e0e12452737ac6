-- What became of one job of a batch; included by leave.lua and seal.lua.
-- key: hash of the batch; then a jid ("" for none), "done" or "failed", the names of its sets of jids that have not run
-- to an end once and that have not succeeded, the set `queues`, and the prefix of queue keys. A callback is pushed once.
local function close(key, jid, ending, open, pending, queues, prefix)
  if redis.call('EXISTS', key) == 0 then
    return
  end
  redis.call('SREM', open, jid)
  if ending == 'done' then
    redis.call('SREM', pending, jid)
  elseif jid ~= '' then
    redis.call('HINCRBY', key, 'failures', 1)
  end
  if redis.call('HGET', key, 'sealed') ~= '1' then
    return
  end
  local function tell(event, left)
    if redis.call('SCARD', left) == 0 and redis.call('HSETNX', key, event .. '_told', '1') == 1 then
      local queue, payload = redis.call('HGET', key, event .. '_queue'), redis.call('HGET', key, event)
      if payload then
        redis.call('SADD', queues, queue)
        redis.call('LPUSH', prefix .. queue, payload)
      end
    end
  end
  tell('complete', open)
  tell('success', pending)
end
