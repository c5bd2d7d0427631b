-- SPDX-License-Identifier: MIT
-- The dead: put again, or forgotten.
--
-- KEYS  as in queue.lua
-- ARGV  1 who asks, for P:jobs   2 queue   3 rules or ''   4 retry or purge
--       5 retry: delay, ms; not kept within a group   6 only those that died before, 0: whenever
--       7 most, up to 256   8 … ids; none: those that died first
-- Answers {ms until something is due or -1, jobs that became ready, jobs that were changed, and how
-- many were left dead since another job has their key}
begin(KEYS, ARGV[1], 0)
if not open(KEYS, 4, ARGV[2], ARGV[3], false) then return {-1, 0, 0, 0} end

local LOOK = 4096 -- at so many of the oldest, for those that can be put again
local delay = tonumber(ARGV[5])
local most, changed, repeated, full = tonumber(ARGV[7]), 0, 0, false

-- Its id is older than those of its group, so it is next. A key that is held for its time may still
-- be its own.
local function retry(id, j)
  local holder = held_by(j[KEY])
  if holder and holder ~= id then
    repeated = repeated + 1
    return
  end
  if not has_room(j[BYTES]) then
    full = true
    return
  end
  local state, due = delay > 0 and DELAYED or READY, delay > 0 and now + delay or 0
  if j[GROUP] ~= '' then
    state = call('HSETNX', q.group, j[GROUP], id) == 1 and READY or BLOCKED
    due = 0
  end
  leave(id, j)
  call('ZREM', q.buried, id)
  j[DELIVERIES], j[FAILURES], j[EXPIRES], j[FIRST], j[DEATH] = 0, 0, 0, 0, ''
  enter(id, j, state, due)
  if j[KEY] ~= '' and not holder then hold(id, j[KEY], 0, math.max(due, now) + q.key_ms) end
  count('bytes', j[BYTES])
  changed = changed + 1
end

local function change(id)
  local j = load(id)
  if not j or j[STATE] ~= DEAD then return end
  if ARGV[4] == 'retry' then return retry(id, j) end
  forget(id)
  changed = changed + 1
end

for i = 8, #ARGV do change(ARGV[i]) end
if #ARGV < 8 then
  local before = ARGV[6] ~= '0' and '(' .. ARGV[6] or '+inf'
  local look = ARGV[4] == 'retry' and LOOK or most
  for _, id in ipairs(call('ZRANGEBYSCORE', q[DEAD], '-inf', before, 'LIMIT', 0, look)) do
    if changed == most or full then break end
    change(id)
  end
end
local due, more = close()
return {due, more, changed, repeated}
