-- SPDX-License-Identifier: MIT
-- Behind queue.lua, but where jobs are only put: what can become of one.

-- Those that will be asked for, in one call.
local function fetch(ids)
  if #ids == 0 then return end
  for i, packed in ipairs(call('HMGET', q.job, unpack(ids))) do
    q.jobs[ids[i]] = packed and cmsgpack.unpack(packed)
  end
end

-- A lease that was counted for its owner has ended.
local function let_go(j)
  if call('HINCRBY', q.head, 'held ' .. j[OWNER], -1) <= 0 then
    call('HDEL', q.head, 'held ' .. j[OWNER])
  end
  j[HELD], q.freed = nil, q.freed + 1
end

-- Takes a job from where its state has it, before it enters another one.
local function leave(id, j)
  if j[HELD] then let_go(j) end
  if j[STATE] == BLOCKED then
    call('ZREM', q.blocked, line(j[GROUP]) .. id)
  else
    call('ZREM', q[j[STATE]], id)
  end
  if j[EXPIRES] > 0 and j[STATE] ~= LEASED then call('ZREM', q.expire, id) end
end

-- The first of those that wait for this job is ready now. One of a group that waits itself holds
-- nobody up.
local function promote(j)
  if j[GROUP] == '' or j[STATE] == BLOCKED then return end
  local of = line(j[GROUP])
  local member = call('ZRANGEBYLEX', q.blocked, '[' .. of, '(' .. of .. ':', 'LIMIT', 0, 1)[1]
  if not member then
    call('HDEL', q.group, j[GROUP])
    return
  end
  local id = string.sub(member, #of + 1)
  local waited = load(id)
  leave(id, waited)
  enter(id, waited, READY, 0)
  call('HSET', q.group, j[GROUP], id)
end

-- Unless the key leads to another job by now, or is held for its time.
local function release_key(id, j)
  if j[KEY] == '' then return end
  local held = call('HGET', q.key, j[KEY])
  if held and string.sub(held, 1, #id + 3) == id .. ' 0 ' then
    call('HDEL', q.key, j[KEY])
    call('ZREM', q.ends, 'k' .. j[KEY])
  end
end

local function drop(id)
  q.jobs[id] = false
  q.gone[#q.gone + 1] = id
end

local function part(id, j)
  leave(id, j)
  release_key(id, j)
  promote(j)
  count('bytes', -j[BYTES])
end

local function remove(id, j)
  part(id, j)
  drop(id)
end

local function forget(id)
  call('ZREM', q[DEAD], id)
  call('ZREM', q.buried, id)
  drop(id)
end

local function trim_dead()
  local since = '(' .. text(now - q.dead_ms)
  local old = call('ZRANGEBYSCORE', q[DEAD], '-inf', since, 'LIMIT', 0, SLICE)
  for _, id in ipairs(old) do forget(id) end
  local over = math.min(call('ZCARD', q[DEAD]) - q.dead_jobs, SLICE)
  if over <= 0 then return end
  for _, id in ipairs(call('ZRANGE', q[DEAD], 0, over - 1)) do forget(id) end
end

local function bury(id, j, why)
  count('died', 1)
  part(id, j)
  if why == 'expired' and q.drop_expired then
    drop(id)
  else
    j[DEATH], j[TOKEN], j[CANCELLED], j[AGAIN] = why, '', 0, 0
    enter(id, j, DEAD, now)
    call('ZADD', q.buried, 0, id)
  end
  trim_dead()
end

-- Into a state in which nobody holds it.
local function wait(id, j, due)
  leave(id, j)
  j[TOKEN], j[FIRST], j[AGAIN] = '', 0, 0
  if due > now then enter(id, j, DELAYED, due) else enter(id, j, READY, 0) end
end

local function start_over(id, j, due)
  j[DELIVERIES], j[FAILURES] = 0, 0
  wait(id, j, due)
end

local function death_of(j)
  if j[EXPIRES] > 0 and j[EXPIRES] <= now then return 'expired' end
  if j[FAILURES] >= j[MOST] then return 'max_failures' end
  return j[DELIVERIES] >= q.max_deliveries and 'max_deliveries'
end

local function backoff(failures)
  local d = q.backoff
  for _ = 2, failures do
    if d >= q.backoff_cap then break end
    d = d * 2
  end
  d = math.min(d, q.backoff_cap)
  chance[2] = chance[2] + 2 -- another part of the same chance each time, and the first as it is
  return d - floor(d / 2) + chance[1] * chance[2] % 4294967296 % (floor(d / 2) + 1)
end

-- A lease ended without an ack. `delay` in ms; false: what is due by its failures.
local function fail(id, j, delay, why, fatal)
  j[FAILURES] = j[FAILURES] + 1
  if j[CANCELLED] == 1 then return remove(id, j) end
  local due = now + (delay or backoff(j[FAILURES]))
  local death = fatal and 'rejected' or death_of(j)
  if why ~= '' then j[ERROR] = string.sub(why, 1, 1024) end
  if not death then return wait(id, j, due) end
  if j[AGAIN] > 0 and death ~= 'expired' then return start_over(id, j, due) end
  bury(id, j, death)
end

local function release(id, j)
  if j[CANCELLED] == 1 then return remove(id, j) end
  local death = death_of(j)
  if not death then return wait(id, j, 0) end
  if j[AGAIN] > 0 and death ~= 'expired' then return start_over(id, j, 0) end
  bury(id, j, death)
end

local function come_due(key, handle)
  for _, id in ipairs(call('ZRANGEBYSCORE', key, '-inf', text(now), 'LIMIT', 0, SLICE)) do
    local j = load(id)
    if j then handle(id, j) else call('ZREM', key, id) end
  end
end

-- What has become due: leases that are over, delays, ttls, keys and results.
local function sweep()
  come_due(q[LEASED], function(id, j)
    count('lapsed', 1)
    fail(id, j, false, '', false)
  end)
  come_due(q[DELAYED], function(id, j) wait(id, j, 0) end)
  come_due(q.expire, function(id, j) bury(id, j, 'expired') end)
  for _, what in ipairs(call('ZRANGEBYSCORE', q.ends, '-inf', text(now), 'LIMIT', 0, SLICE)) do
    call('ZREM', q.ends, what)
    call('HDEL', string.sub(what, 1, 1) == 'k' and q.key or q.result, string.sub(what, 2))
  end
end
