-- Carries out one change, or takes it back: each of its edits whole, and all of it once.
-- KEYS: the hash of what was done, then the keys that are named below by their number.
-- ARGV: the change's number; "do" or "undo"; seconds that the hash is kept; how many guards;
--       of each guard: present, absent, field, size, member, count, or whole (every edit's source is there as it is told,
--       and every place that it goes to is free); a key's number; a field (or ""); a value (or "");
--       then of each edit two entries, where it is and where it goes, each of: kind (zset head tail before set hash string dump,
--       or "" for none); a key's number; a member, field or ""; a value, score or ""; when its key ends (ms, or "").
-- Answers {"done", of each edit 1, 0, or x where it could not be taken back} or {"stopped", why}; asked again under its number, it answers the same again.
-- Nothing changes where a guard fails or a permission is missing.
-- Cost: O(log n) an edit of a set; of a list its distance from that end, twice.
local number, how, kept = ARGV[1], ARGV[2], ARGV[3]
local before = redis.call('HGET', KEYS[1], number)
if how == 'do' and before then return {'done', before} end
if how == 'undo' and not (before and string.find(before, '1', 1, true)) then
  return {'done', before and string.gsub(before, '.', '0') or ''}
end

local at, whole = 5, false
for _ = 1, tonumber(ARGV[4]) do
  local kind, key, field, value = ARGV[at], KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2], ARGV[at + 3]
  at = at + 4
  if kind == 'present' and redis.call('EXISTS', key) == 0 then return {'stopped', 'gone'} end
  if kind == 'absent' and redis.call('EXISTS', key) == 1 then return {'stopped', 'there'} end
  if kind == 'field' and (redis.call('HGET', key, field) or '') ~= value then return {'stopped', 'changed'} end
  if kind == 'size' and redis.call('HLEN', key) ~= tonumber(value) then return {'stopped', 'size'} end
  if kind == 'member' and redis.call('SISMEMBER', key, field) == 0 then return {'stopped', 'changed'} end
  if kind == 'count' and redis.call('SCARD', key) ~= tonumber(value) then return {'stopped', 'size'} end
  whole = whole or kind == 'whole'
end

local KINDS = {zset = 'zset', head = 'list', tail = 'list', before = 'list', set = 'set', hash = 'hash', string = 'string'}
local edits = {}
for index = at, #ARGV, 10 do
  local function entry(first)
    return {kind = ARGV[first], key = KEYS[tonumber(ARGV[first + 1])], member = ARGV[first + 2],
            value = ARGV[first + 3], ends = ARGV[first + 4]}
  end
  local edit = {from = entry(index), to = entry(index + 5)}
  for _, one in pairs(edit) do
    if KINDS[one.kind] then
      local found = redis.call('TYPE', one.key).ok
      if found ~= 'none' and found ~= KINDS[one.kind] then return {'stopped', 'type'} end
    end
  end
  edits[#edits + 1] = edit
end

-- The first writes change nothing: memory that is full, a replica, and a permission that is missing show here. LREM is
-- told no number: that fails where it is permitted, and searches no queue to its end.
redis.call('HSET', KEYS[1], 'at', redis.call('TIME')[1])
redis.call('EXPIRE', KEYS[1], kept)
for _, edit in ipairs(edits) do
  local one = edit.from
  if one.kind == 'zset' then redis.call('ZREM', one.key, 'kiqdoctor: nothing')
  elseif one.kind == 'set' then redis.call('SREM', one.key, 'kiqdoctor: nothing')
  elseif one.kind == 'hash' then redis.call('HDEL', one.key, 'kiqdoctor: nothing')
  elseif KINDS[one.kind] == 'list' then
    local told = redis.pcall('LREM', one.key, 'no number', '')
    if not string.find(told.err, 'integer', 1, true) then return told end
  elseif one.kind ~= '' then redis.call('UNLINK', one.key .. ':kiqdoctor: nothing') end
end

local function rank(one) return one.kind == 'head' and 1 or -1 end
local function holds(one)
  local kind = KINDS[one.kind]
  if kind == 'zset' then
    local score = redis.call('ZSCORE', one.key, one.member)
    return score and (one.value == '' or tonumber(score) == tonumber(one.value))
  elseif kind == 'list' then return redis.call('LPOS', one.key, one.member, 'RANK', rank(one))
  elseif kind == 'set' then return redis.call('SISMEMBER', one.key, one.member) == 1
  elseif kind == 'hash' then return redis.call('HGET', one.key, one.member) == one.value
  elseif kind == 'string' then return redis.call('GET', one.key) == one.value
  elseif one.kind == 'dump' then return redis.call('DUMP', one.key) == one.value end
  return true
end
local function taken(one) -- its place is not free
  local kind = KINDS[one.kind]
  if kind == 'zset' then return redis.call('ZSCORE', one.key, one.member)
  elseif kind == 'list' then return one.value == 'once' and redis.call('LPOS', one.key, one.member)
  elseif kind == 'set' then return redis.call('SISMEMBER', one.key, one.member) == 1
  elseif kind == 'hash' then return redis.call('HEXISTS', one.key, one.member) == 1
  elseif kind == 'string' or one.kind == 'dump' then return redis.call('EXISTS', one.key) == 1 end
end
local function put(one)
  local kind = KINDS[one.kind]
  local there = redis.call('EXISTS', one.key) == 1 -- then it has an end of its own
  if kind == 'zset' then redis.call('ZADD', one.key, one.value, one.member)
  elseif one.kind == 'before' then -- an element, or at the end where that has left
    if redis.call('LINSERT', one.key, 'BEFORE', one.value, one.member) < 1 then redis.call('RPUSH', one.key, one.member) end
  elseif kind == 'list' then redis.call(one.kind == 'head' and 'LPUSH' or 'RPUSH', one.key, one.member)
  elseif kind == 'set' then redis.call('SADD', one.key, one.member)
  elseif kind == 'hash' then redis.call('HSET', one.key, one.member, one.value)
  elseif kind == 'string' then redis.call('SET', one.key, one.value)
  elseif one.kind == 'dump' then
    redis.call('RESTORE', one.key, one.ends == '' and '0' or one.ends, one.value, 'ABSTTL')
    return
  end
  if one.ends ~= '' and not there then redis.call('PEXPIREAT', one.key, one.ends) end
end
local function take(one)
  local kind = KINDS[one.kind]
  if kind == 'zset' then redis.call('ZREM', one.key, one.member)
  elseif kind == 'list' then redis.call('LREM', one.key, rank(one), one.member)
  elseif kind == 'set' then redis.call('SREM', one.key, one.member)
  elseif kind == 'hash' then redis.call('HDEL', one.key, one.member)
  elseif kind == 'string' or one.kind == 'dump' then redis.call('UNLINK', one.key) end
end
local function over(one) -- it would have ended by itself
  if one.ends == '' then return false end
  local time = redis.call('TIME')
  return tonumber(one.ends) <= time[1] * 1000 + time[2] / 1000
end
local function carry(from, to)
  if not holds(from) then return '0' end
  if over(to) then return from.kind == '' and '1' or '0' end
  if from.kind == 'zset' and to.kind == 'zset' and from.key == to.key and from.member == to.member then
    redis.call('ZADD', to.key, 'XX', to.value, to.member)
    return '1'
  end
  if to.kind ~= '' and taken(to) then return '0' end
  put(to)
  take(from)
  return '1'
end

if whole and how == 'do' then
  for _, edit in ipairs(edits) do
    if edit.from.kind ~= '' and (not holds(edit.from) or edit.to.kind ~= '' and edit.from.key ~= edit.to.key and taken(edit.to)) then
      return {'stopped', 'changed'}
    end
  end
end

local answer, marks = {}, {}
for index = 1, #edits do answer[index], marks[index] = '0', '0' end
if how == 'do' then
  local moved = false
  for index, edit in ipairs(edits) do
    if edit.from.kind ~= '' then
      answer[index] = carry(edit.from, edit.to)
      moved = moved or answer[index] == '1'
    elseif moved and not taken(edit.to) then
      put(edit.to)
      answer[index] = edit.to.kind == 'set' and '0' or '1' -- a queue's name stays when the rest is taken back
    end
  end
  redis.call('HSET', KEYS[1], number, table.concat(answer))
else
  for index = #edits, 1, -1 do
    if string.sub(before, index, index) == '1' then
      answer[index] = carry(edits[index].to, edits[index].from)
      if answer[index] == '0' then answer[index] = 'x' end
      marks[index] = answer[index] == '1' and '0' or '1' -- what went on since stays marked, and is asked for again
    end
  end
  redis.call('HSET', KEYS[1], number, table.concat(marks))
end
return {'done', table.concat(answer)}
