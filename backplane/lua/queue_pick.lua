-- SPDX-License-Identifier: MIT
-- The dead: put again, or forgotten.
--
-- KEYS  as in queue.lua
-- ARGV  1 who asks, for P:jobs   2 queue   3 rules or ''   4 retry or purge
--       5 retry: delay, ms; not kept within a group   6 only those that died before, 0: whenever
--       7 most, up to 256   8 … ids; none: those that died first
-- Answers {ms until something is due or -1, jobs that became ready, jobs that were changed}
begin(KEYS, ARGV[1], 0)
if not open(KEYS, 4, ARGV[2], ARGV[3], false) then return {-1, 0, 0} end

local delay = tonumber(ARGV[5])

-- Its id is older than those of its group, so it is next.
local function retry(id, j)
  if not has_room(j[BYTES]) then return false end
  local state, due = delay > 0 and DELAYED or READY, delay > 0 and now + delay or 0
  if j[GROUP] ~= '' then
    state = call('HSETNX', q.group, j[GROUP], id) == 1 and READY or BLOCKED
    due = 0
  end
  leave(id, j)
  call('ZREM', q.buried, id)
  j[DELIVERIES], j[FAILURES], j[EXPIRES], j[FIRST], j[DEATH] = 0, 0, 0, 0, ''
  enter(id, j, state, due)
  count('bytes', j[BYTES])
  return true
end

local function change(id)
  local j = load(id)
  if not j or j[STATE] ~= DEAD then return 0 end
  if ARGV[4] == 'retry' then return retry(id, j) and 1 or 0 end
  forget(id)
  return 1
end

local ids = {}
for i = 8, #ARGV do ids[#ids + 1] = ARGV[i] end
if #ids == 0 then
  local before = ARGV[6] ~= '0' and '(' .. ARGV[6] or '+inf'
  ids = call('ZRANGEBYSCORE', q[DEAD], '-inf', before, 'LIMIT', 0, ARGV[7])
end
local changed = 0
for _, id in ipairs(ids) do changed = changed + change(id) end
local due, more = close()
return {due, more, changed}
