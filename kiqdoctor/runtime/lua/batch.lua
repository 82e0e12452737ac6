-- What became of one job of a batch; included by leave.lua and seal.lua. The hash and its fields are those of
-- wire/batch.py, with `sealed`, `<event>_expires` and `<event>_told` of our own.
-- key: hash of the batch; then a jid ("" for none), "done" or "failed", the names of its sets of jids that have not run
-- to an end once and that have not succeeded, the set `queues`, and the prefix of queue keys. A callback is pushed once:
-- its payload is stored without `enqueued_at`, which is written here, since nobody knows before when that will be.
local function stamp(millis) -- as wire/stamps.py has it, and JSON writers spell it
  local fraction = string.gsub(string.format('%03d', math.max(1, millis % 1000)), '0+$', '')
  return string.format('%.0f', math.floor(millis / 1000)) .. '.' .. fraction
end
local function close(key, jid, ending, open, pending, queues, prefix)
  if redis.call('EXISTS', key) == 0 then
    return
  end
  redis.call('SREM', open, jid) -- sets of jids, no counters: a job that ends twice is told twice and counted once
  if ending == 'done' then
    redis.call('SREM', pending, jid)
  elseif jid ~= '' then
    redis.call('HINCRBY', key, 'failures', '1')
  end
  if redis.call('HGET', key, 'sealed') ~= '1' then
    return
  end
  local function tell(event, left)
    if redis.call('SCARD', left) > 0 or redis.call('HEXISTS', key, event .. '_told') == 1 then
      return
    end
    local queue, payload = redis.call('HGET', key, event .. '_queue'), redis.call('HGET', key, event)
    if payload then
      local time = redis.call('TIME')
      local now = time[1] * 1000 + math.floor(time[2] / 1000)
      local pushed = ',"enqueued_at":' .. stamp(now)
      local lasts = redis.call('HGET', key, event .. '_expires') -- milliseconds, from the push on
      if lasts then
        pushed = pushed .. ',"expiry":' .. stamp(now + tonumber(lasts))
      end
      redis.call('LPUSH', prefix .. queue, string.sub(payload, 1, -2) .. pushed .. '}')
      redis.pcall('SADD', queues, queue) -- a set of another type keeps no callback from being told once
    end
    redis.call('HSET', key, event .. '_told', '1')
  end
  tell('complete', open)
  tell('success', pending)
end
