-- SPDX-License-Identifier: MIT
-- Leases jobs to a worker.
--
-- KEYS  as in queue.lua, those of a queue once for each
-- ARGV  1 who asks, for P:jobs   2 random, below 2^32   3 most jobs, up to 256
--       4 most bytes of data, 0: any; one job comes in any case   5 lease, ms   6 worker's name
--       7 nonce: 16 hexadecimal digits that nobody can guess
--       then of each queue: its name, its rules or ''
-- Answers {ms until something is due or -1, 1 if more are ready, and 2 for the first queue, 4 for
--   the second … that has more of which the worker holds as many as it may (of none, if there was
--   something that is over in place of a job: it is to look again); then of each job an array:
--   queue, id, token, kind, data, deliveries, failures, end of the lease, priority, group, key,
--   what was said of the last failure, when it was put}
begin(KEYS, ARGV[1], ARGV[2])

local most, bytes_most, lease = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local jobs, bytes, held = {}, 0, 'held ' .. ARGV[6]

-- How many the worker may have of this queue.
local function places()
  local wanted = most - #jobs
  if q.max_inflight == 0 then return wanted end
  local has = tonumber(call('HGET', q.head, held)) or 0
  return math.max(math.min(wanted, q.max_inflight - has), 0)
end

-- Ids of those that come, by priority and age.
local function choose(wanted)
  local chosen = {}
  if wanted <= 0 then return chosen end
  local ids = call('ZRANGE', q[READY], 0, wanted - 1)
  fetch(ids)
  for _, id in ipairs(ids) do
    local j = load(id)
    if not j then
      call('ZREM', q[READY], id)
    elseif j[EXPIRES] > 0 and j[EXPIRES] <= now then
      bury(id, j, 'expired')
    elseif #jobs + #chosen > 0 and bytes_most > 0 and bytes + j[BYTES] > bytes_most then
      return chosen
    else
      bytes = bytes + j[BYTES]
      chosen[#chosen + 1] = id
    end
  end
  return chosen
end

local function take(ids)
  if #ids == 0 then return end
  local data, packed, ends = call('HMGET', q.data, unpack(ids)), {}, {}
  local limit = now + lease
  for i, id in ipairs(ids) do
    local j = load(id)
    server.token = server.token + 1
    j[STATE], j[DUE], j[FIRST], j[DELIVERIES] = LEASED, limit, now, j[DELIVERIES] + 1
    j[TOKEN], j[OWNER] = text(server.token) .. '.' .. ARGV[7], ARGV[6]
    if q.max_inflight > 0 then j[HELD] = 1 end
    if j[EXPIRES] > 0 then call('ZREM', q.expire, id) end
    packed[#packed + 1], packed[#packed + 2] = id, cmsgpack.pack(j)
    ends[#ends + 1], ends[#ends + 2] = text(limit), id
    jobs[#jobs + 1] = {q.name, id, j[TOKEN], j[KIND], data[i] or '', j[DELIVERIES], j[FAILURES],
      limit, j[PRIORITY], j[GROUP], j[KEY], j[ERROR], j[CREATED]}
  end
  call('ZREM', q[READY], unpack(ids))
  call('HSET', q.job, unpack(packed))
  call('ZADD', q[LEASED], unpack(ends))
  count('delivered', #ids)
  if q.max_inflight > 0 then call('HINCRBY', q.head, held, #ids) end
  finish()
end

local out, due, any, more, missed = {0, 0}, math.huge, 0, 0, false
for n = 8, #ARGV - 1, 2 do
  if open(KEYS, 4 + (n - 8) / 2 * 14, ARGV[n], ARGV[n + 1], false) then
    sweep()
    if not q.paused then
      local wanted, before = places(), #jobs
      local bounded = wanted < most - #jobs
      take(choose(wanted))
      if call('ZCARD', q[READY]) > 0 then
        any = 1
        if bounded and #jobs - before == wanted then
          more = more + 2 ^ ((n - 8) / 2 + 1)
        else
          missed = missed or #jobs == before
        end
      end
    end
    local soon = close()
    if soon >= 0 then due = math.min(due, soon) end
  end
end
for _, j in ipairs(jobs) do out[#out + 1] = j end
if missed and #jobs == 0 then more = 0 end -- look again, whatever is bounded
out[1], out[2] = due == math.huge and -1 or due, any + more
return out
