-- SPDX-License-Identifier: MIT
-- What the scripts of queues have in common: a queue, its jobs, and what can become of one.
--
-- `P` is the prefix of all keys, `Q` the name of a queue. KEYS of every script are, in this order:
--
--   P:jobs             hash: id, token: the last ones given out; time: of then; number: of the
--                      server, which is the rest of an id by 16
--   P:queues           sorted set: queue -> 0, all there are
--   P:queues.due       sorted set: queue -> when there is something to do in it without being asked
-- and for each queue, of which only a take has more than one
--   P:queue:Q          hash: rules, paused, draining, next, bytes, and counts of what has happened
--   P:queue.job:Q      hash: id -> what is known of a job, see below; the dead are in it too
--   P:queue.data:Q     hash: id -> data
--   P:queue.ready:Q    sorted set: id -> priority
--   P:queue.lease:Q    sorted set: id -> end of the lease
--   P:queue.delayed:Q  sorted set: id -> when it is due
--   P:queue.expire:Q   sorted set: id -> end of its ttl, while it is not leased
--   P:queue.group:Q    hash: group -> the id that may go on
--   P:queue.blocked:Q  sorted set: length of the group in 3 digits, the group, id -> 0
--   P:queue.key:Q      hash: key -> id, mode, until
--   P:queue.ends:Q     sorted set: 'k' and a key, 'r' and an id with a result -> when it is over
--   P:queue.result:Q   hash: id -> result
--   P:queue.dead:Q     sorted set: id -> when it died
--   P:queue.buried:Q   sorted set: id -> 0, the same by id
--
-- Ids are decimal, of 16 digits; times are ms since 1970, by the clock of the server. In `clock` of
-- P:jobs a test can set the time.
-- What is to be looked at early is published on the channel P:jobs: who made it so, how many more
-- jobs are ready, and the queue, one space between. Only a queue that had none is told of.
-- A script looks at a bounded number of jobs; what is left has its turn next time.

-- A job is packed as an array of these, with 0 or '' for what there is not. HELD is there while the
-- lease is counted for its owner, in P:queue:Q under 'held ' and the owner.
local STATE, PRIORITY, DUE, TOKEN, DELIVERIES, FAILURES, MOST, CREATED, EXPIRES, FIRST, CANCELLED,
  AGAIN, KIND, GROUP, KEY, OWNER, ERROR, DEATH, BYTES, HELD =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20
local READY, LEASED, DELAYED, BLOCKED, DEAD = 0, 1, 2, 3, 4
local STATES = {[0] = 'ready', 'leased', 'delayed', 'blocked', 'dead'}

-- The rules of a queue that nobody said any of, in the order of struct queue_rules.
local DEFAULTS = '12 24 1000 3600000 1000000 1073741824 262144 604800000 ' ..
  '2592000000 100000 3600000 0 0'
local SLICE, LEASE_MAX, TIDY = 64, 43200000, 10000
local call, floor, server, now, q, chance, origin
local unbounded -- what is put is taken in however much there is

local function text(n)
  return string.format('%.0f', n)
end

-- `random` is below 2^32, and decides by how much what fails is late.
local function begin(keys, who, random)
  call, floor = redis.call, math.floor -- which there are not while a library is loaded
  local m = call('HMGET', keys[1], 'id', 'token', 'time', 'number', 'clock')
  local t = call('TIME')
  server = {key = keys[1], queues = keys[2], due = keys[3], id = tonumber(m[1]) or 0, token = tonumber(m[2]) or 0,
    number = tonumber(m[4]) or 0}
  now = tonumber(m[5]) or t[1] * 1000 + floor(t[2] / 1000)
  now = math.max(now, tonumber(m[3]) or 0)
  origin, chance = who ~= '' and who or '-', {tonumber(random) or 0, -1}
end

-- Once ids or tokens were given out.
local function finish()
  call('HSET', server.key, 'id', text(server.id), 'token', text(server.token), 'time', text(now))
end

-- The queue whose keys begin at `at`; false: there is none, and it was not to be made.
local function open(keys, at, name, rules, make)
  if make and (name == '' or #name > 64) then
    error({err = 'ERR the name of a queue has 1 to 64 bytes'})
  end
  q = {name = name, head = keys[at], job = keys[at + 1], data = keys[at + 2],
    [READY] = keys[at + 3], [LEASED] = keys[at + 4], [DELAYED] = keys[at + 5],
    expire = keys[at + 6], group = keys[at + 7], blocked = keys[at + 8], key = keys[at + 9],
    ends = keys[at + 10], result = keys[at + 11],
    [DEAD] = keys[at + 12], buried = keys[at + 13], jobs = {}, gone = {}, add = {}, freed = 0}
  local m = call('HMGET', q.head, 'rules', 'paused', 'draining', 'next')
  if not m[1] and not make then return false end
  if not m[1] then call('ZADD', server.queues, 0, name) end
  if rules == '' then rules = m[1] or DEFAULTS end
  if rules ~= m[1] then call('HSET', q.head, 'rules', rules) end
  local r = {}
  for n in string.gmatch(rules, '%d+') do r[#r + 1] = tonumber(n) end
  q.max_failures, q.max_deliveries, q.backoff, q.backoff_cap, q.max_jobs, q.max_bytes, q.max_data,
    q.key_ms, q.dead_ms, q.dead_jobs, q.result_ms = unpack(r)
  q.drop_expired, q.max_inflight = r[12] == 1, r[13] or 0 -- rules from before have no 13th
  q.paused, q.draining, q.next = m[2] == '1', m[3] == '1', m[4]
  q.before = call('ZCARD', q[READY])
  return true
end

local function count(name, by)
  q.add[name] = (q.add[name] or 0) + by
end

local function first(key)
  return tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]) or math.huge
end

-- Ends what was done with a queue. Returns ms until there is something to do, -1: never; and how
-- many more jobs are ready.
local function close()
  for from = 1, #q.gone, 1000 do
    local to = math.min(from + 999, #q.gone)
    call('HDEL', q.job, unpack(q.gone, from, to))
    call('HDEL', q.data, unpack(q.gone, from, to))
  end
  for name, by in pairs(q.add) do
    if by ~= 0 then call('HINCRBY', q.head, name, text(by)) end
  end
  local ready = q.paused and 0 or call('ZCARD', q[READY])
  local more, freed = math.max(ready - q.before, 0), math.min(q.freed, ready)
  if q.freed > 0 then -- who held as many as it may is to look again, wherever it waits
    more = math.max(more, freed)
    call('PUBLISH', server.key, '- ' .. text(more) .. ' ' .. q.name)
  elseif more > 0 and q.before == 0 then
    call('PUBLISH', server.key, origin .. ' ' .. text(more) .. ' ' .. q.name)
  end
  local ends = math.ceil(first(q.ends) / TIDY) * TIDY
  local due = math.min(first(q[LEASED]), first(q[DELAYED]), first(q.expire), ends)
  if due == math.huge then
    if q.next then
      call('HDEL', q.head, 'next')
      call('ZREM', server.due, q.name)
    end
    return -1, more
  end
  if text(due) ~= q.next then
    call('HSET', q.head, 'next', text(due))
    call('ZADD', server.due, text(due), q.name)
  end
  return math.max(due - now, 0), more
end

local function load(id)
  local j = q.jobs[id]
  if j == nil then
    local packed = call('HGET', q.job, id)
    j = packed and cmsgpack.unpack(packed)
    q.jobs[id] = j
  end
  return j
end

local function save(id, j)
  call('HSET', q.job, id, cmsgpack.pack(j))
end

local function line(group)
  return string.format('%03d', #group) .. group
end

-- Puts a job where its state has it.
local function enter(id, j, state, due)
  j[STATE], j[DUE] = state, due
  if state == BLOCKED then
    call('ZADD', q.blocked, 0, line(j[GROUP]) .. id)
  else
    call('ZADD', q[state], state == READY and j[PRIORITY] or text(due), id)
  end
  if j[EXPIRES] > 0 and state ~= LEASED and state ~= DEAD then
    call('ZADD', q.expire, text(j[EXPIRES]), id)
  end
  save(id, j)
end

-- A key leads to a job: mode 0, until that is done, 1, until it `ends` at any rate.
local function hold(id, key, mode, ends)
  call('HSET', q.key, key, id .. ' ' .. mode .. ' ' .. text(ends))
  call('ZADD', q.ends, text(ends), 'k' .. key)
end

-- Which job, and in which mode; nil: none.
local function held_by(key)
  local held = key ~= '' and call('HGET', q.key, key)
  if not held then return nil end
  local id, mode, ends = string.match(held, '^(%d+) (%d) (%d+)$')
  if tonumber(ends) > now then return id, mode end
end

local function has_room(bytes)
  return call('HLEN', q.job) - call('ZCARD', q[DEAD]) - #q.gone < q.max_jobs and
    (tonumber(call('HGET', q.head, 'bytes')) or 0) + (q.add.bytes or 0) + bytes <= q.max_bytes
end
