-- Acknowledge what ended, let go with its consequences what ended otherwise, then move jobs from queues into this
-- connection's private lists.
-- KEYS: lease, this connection's sequence, queues q1..qn, then private lists; ours begin at ARGV[5]
-- ARGV: sequence number, how many jobs, how many bytes at most, n, index of our first private list, of how many lists
--   something is acknowledged, exits with consequences as one MessagePack or ""; then for each of those lists its index in
--   KEYS, how many payloads, the payloads; then (index of a queue, how many at most) in the order in which queues are asked.
--   What is still wanted after that is taken in the same order without the shares.
-- Exits by themselves are each (index in KEYS, payload, commands as name, key, words). After them come those that are alike
--   (see alike.py): (index in KEYS, how long a row is, commands, rows one after the other, each a payload and its own words);
--   of those commands each is name, key, which of a row's own words the key ends in or 0, pairs of which word is which of
--   the row's own (below 0: the payload with that one in the place of its last byte), words.
-- Returns {"FENCED"} without the lease; {"REPEATED"} when this number was applied before, and nothing was done now;
--   else {"OK", how many left, errors, refused, index of a queue, {payload, ...}, ...}; refused: the place of an exit among
--   the exits, and why the job's new place did not take it, by turns: it lies in its private list still.
-- Cost: O(queues + jobs + acknowledgements * length of the private list). The first write needs no memory and is refused where
--   any would be (read-only, full disk); after it a server at maxmemory lets the rest pass, and each step is its own pcall,
--   so that nothing fails half-way.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'FENCED'}
end
local acknowledged, errors = 0, {}
local try = redis.pcall -- looked up once; and numbers are given as text: Redis spells each anew, which costs a tenth of a job
local last = try('GET', KEYS[2])
if type(last) == 'table' then -- somebody wrote another type there: it is ours, and is written anew below
  errors[1] = KEYS[2] .. ': ' .. last.err
  last = nil
end
if tonumber(ARGV[1]) <= (tonumber(last or 0) or 0) then
  return {'REPEATED'}
end
local exits, groups = {}, {}
if ARGV[7] ~= '' then
  exits, groups = unpack(cmsgpack.unpack(ARGV[7]))
end
redis.call('PERSIST', KEYS[2]) -- says nothing, and is refused where a later command would be, before anything was done
redis.call('SET', KEYS[2], ARGV[1]) -- before the jobs move: a request that was applied in part would be applied again
local wanted, room, count, ours = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
-- Removing first makes room: with memory full the jobs that came could not be stored, and those that ended would stay.
local at = 8
for _ = 1, tonumber(ARGV[6]) do
  local private, after = KEYS[tonumber(ARGV[at])], at + 2 + tonumber(ARGV[at + 1])
  for place = at + 2, after - 1 do
    local removed = try('LREM', private, '-1', ARGV[place])
    if type(removed) == 'table' then
      errors[#errors + 1] = private .. ': ' .. removed.err
    else
      acknowledged = acknowledged + removed
    end
  end
  at = after
end
-- include follow
-- Whoever removes a job decides what becomes of it, so what follows does so only where it was there still.
local refused = {}
local function leave(place, private, payload, steps, rows, row)
  local removed = try('LREM', private, '-1', payload)
  if type(removed) == 'table' then
    errors[#errors + 1] = private .. ': ' .. removed.err
    return
  end
  if removed == 0 then
    return
  end
  for number, step in ipairs(steps) do
    local key, words = step[2], step[3]
    if rows then
      local own = step[4]
      words = step[5]
      if step[3] > 0 then
        key = key .. rows[row + step[3]]
      end
      for pair = 1, #own, 2 do
        local from = own[pair + 1]
        words[own[pair]] = from > 0 and rows[row + from] or string.sub(payload, 1, -2) .. rows[row - from]
      end
    end
    local no = follow(step[1], key, words, number == 1)
    if no then
      redis.call('RPUSH', private, payload)
      refused[#refused + 1] = place
      refused[#refused + 1] = no.err
      return
    end
  end
  acknowledged = acknowledged + 1
end
for place, exit in ipairs(exits) do
  leave(place, KEYS[exit[1]], exit[2], exit[3])
end
local place = #exits
for _, group in ipairs(groups) do
  local private, length, steps, rows = KEYS[group[1]], group[2], group[3], group[4]
  for row = 1, #rows, length do
    place = place + 1
    leave(place, private, rows[row], steps, rows, row)
  end
end
local reply = {'OK', acknowledged, errors, refused}
local failed = {}
-- One LMOVE a job: each is in one list or the other whatever comes next. RPOP with a count and LPUSH of all would be 5 to
-- 12 % faster, and lose what was popped where the push is refused, for a script is not rolled back.
local function take(index, most)
  local queue, private, taken = KEYS[2 + index], KEYS[ours + index - 1], {}
  while most > 0 and wanted > 0 and room > 0 do
    local job = try('LMOVE', queue, private, 'RIGHT', 'LEFT')
    if type(job) == 'table' then -- no list: that strands nothing of another queue
      errors[#errors + 1] = queue .. ': ' .. job.err
      failed[index] = true
      break
    end
    if not job then
      failed[index] = true
      break
    end
    taken[#taken + 1] = job
    most, wanted, room = most - 1, wanted - 1, room - #job
  end
  if #taken > 0 then
    reply[#reply + 1] = index
    reply[#reply + 1] = taken
  end
end
-- Of many queues few have jobs: one EXISTS tells of a whole stretch of them that there are none.
local function walk(first, last)
  local count = (last - first) / 2
  if count >= 4 and count <= 1000 then
    local names = {}
    for place = first, last - 1, 2 do
      names[#names + 1] = KEYS[2 + tonumber(ARGV[place])]
    end
    if redis.call('EXISTS', unpack(names)) == 0 then
      for place = first, last - 1, 2 do
        failed[tonumber(ARGV[place])] = true
      end
      return
    end
  end
  if count >= 4 then
    local middle = first + 2 * math.floor(count / 2)
    walk(first, middle)
    return walk(middle, last)
  end
  for place = first, last - 1, 2 do
    take(tonumber(ARGV[place]), tonumber(ARGV[place + 1]))
  end
end
walk(at, #ARGV + 1)
for place = at, #ARGV, 2 do
  if wanted <= 0 or room <= 0 then
    break
  end
  if not failed[tonumber(ARGV[place])] then
    take(tonumber(ARGV[place]), wanted)
  end
end
return reply
