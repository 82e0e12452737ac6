-- Push a job unless one with its lock is there.
-- KEYS: lock, set `queues`, target (a queue, or `schedule`), hash of its status
-- ARGV: what push.lua wants from the jid on
-- Returns the jid that holds the lock now. Cost: O(log n).
-- include push
return push(KEYS[1], KEYS[2], KEYS[3], KEYS[4], unpack(ARGV))
