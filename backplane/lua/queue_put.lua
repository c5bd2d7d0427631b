-- SPDX-License-Identifier: MIT
-- Puts jobs into a queue. Refused by a server that is out of memory.
--
-- KEYS  as in queue.lua
-- ARGV  1 who puts, for P:jobs   2 queue   3 rules: numbers as in queue.h; '': those it has
--       then of each job, at most 256: kind, data, options: '' or a JSON object of
--       delay_ms, at_ms, ttl_ms, priority, max_failures, group, key, key_ms, window (true: the key
--       holds for its time, done or not), again (true: if the key's job is leased, it runs again),
--       once, once_ms (a second key: who puts with it again within that time knows it)
-- Answers {ms until something is due or -1, jobs that became ready, then of each job: status, id}
-- status: ok; repeated: `id` has the key; known: `id` was put with its `once`; full, too_big,
-- draining, bad: not put, `id` is 0
begin(KEYS, ARGV[1], 0)
open(KEYS, 4, ARGV[2], ARGV[3], true)

local LIMIT = 316224000000 -- of times, ms

local function whole(v, most)
  if v == nil then return 0 end
  return type(v) == 'number' and v >= 0 and v <= most and v == floor(v) and v
end

local function short(v)
  if v == nil then return '' end
  return type(v) == 'string' and #v <= 255 and v
end

-- What a job says, each with its default; nil: it makes no sense.
local function options_of(json)
  local well, o = true, {}
  if json ~= '' then well, o = pcall(cjson.decode, json) end
  if not well or type(o) ~= 'table' then return nil end
  local delay, at, ttl = whole(o.delay_ms, LIMIT), whole(o.at_ms, 2 ^ 53), whole(o.ttl_ms, LIMIT)
  local priority, most = whole(o.priority, 3), whole(o.max_failures, 2 ^ 32)
  local key, key_ms, group = short(o.key), whole(o.key_ms, LIMIT), short(o.group)
  local once, once_ms = short(o.once), whole(o.once_ms, LIMIT)
  if not (delay and at and ttl and priority and most and key and key_ms and group and once and
      once_ms) or delay > 0 and at > 0 or group ~= '' and delay + at > 0 or
      o.again == true and key == '' or (once == '') ~= (once_ms == 0) then
    return nil
  end
  local due = at > 0 and at or delay > 0 and now + delay or 0
  return {delay = delay, due = due, ttl = ttl, priority = priority, most = most, key = key,
    key_ms = key_ms > 0 and key_ms or q.key_ms, mode = o.window == true and 1 or 0,
    again = o.again == true, group = group, once = once, once_ms = once_ms}
end

-- Who has the key. If a worker is at it and is asked to look again, the key holds on.
local function holder(o)
  local id, mode = held_by(o.key)
  if not id then return nil end
  local j = o.again and load(id)
  if j and j[STATE] == LEASED then
    j[AGAIN] = now + o.delay
    save(id, j)
    if mode == '0' then hold(id, o.key, 0, j[AGAIN] + o.key_ms) end
  end
  return id
end

local function add(kind, data, o)
  local j = {READY, o.priority, 0, '', 0, 0, o.most > 0 and o.most or q.max_failures, now,
    o.ttl > 0 and now + o.ttl or 0, 0, 0, 0, kind, o.group, o.key, '', '', '', #data}
  local state = o.due > now and DELAYED or READY
  local id
  repeat -- ids tell the time, and go on if the last one was lost
    server.id = math.max(server.id + 16, now * 1024)
    id = text(server.id + server.number)
  until call('HSETNX', q.data, id, data) == 1
  if o.group ~= '' and call('HSETNX', q.group, o.group, id) == 0 then state = BLOCKED end
  enter(id, j, state, state == DELAYED and o.due or 0)
  if o.key ~= '' then hold(id, o.key, o.mode, math.max(o.due, now) + o.key_ms) end
  if o.once ~= '' then hold(id, o.once, 1, now + o.once_ms) end
  count('bytes', #data)
  count('put', 1)
  return 'ok', server.id + server.number
end

-- A repeated put is told so even when nothing more is taken in: it changes nothing.
local function put(kind, data, options)
  local o = options_of(options)
  if not o or kind == '' or #kind > 64 then return 'bad', 0 end
  local known = held_by(o.once)
  local id = known or holder(o)
  if id then
    if not unbounded then count('repeated', 1) end
    return known and 'known' or 'repeated', tonumber(id)
  end
  if not unbounded then
    if #data > q.max_data then return 'too_big', 0 end
    if q.draining then return 'draining', 0 end
    if not has_room(#data) then return 'full', 0 end
  end
  return add(kind, data, o)
end

if #ARGV > 3 + 3 * 256 then return redis.error_reply('ERR more than 256 jobs') end
local out = {0, 0}
for i = 4, #ARGV - 2, 3 do
  out[#out + 1], out[#out + 2] = put(ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
finish()
out[1], out[2] = close()
return out
