-- SPDX-License-Identifier: MIT
-- What is said of jobs by those who hold them, or do not want them any more.
--
-- KEYS  as in queue.lua
-- ARGV  1 who says so, for P:jobs   2 queue   3 rules or ''   4 random, below 2^32
--       5 ack, nack, release, extend or cancel
--       then of each job, at most 256: id, token, ms, text
--         token   of the lease; to cancel: ''
--         ms      extend: the lease ends so long from now; nack: wait so long, '': as its failures
--                 say, 'fatal': it is not tried again; otherwise ''
--         text    ack: a result to keep, or ''; nack: what went wrong; otherwise ''
-- Answers {ms until something is due or -1, jobs that became ready, then of each job: status, and
-- after an extend the end of its lease, else 0}
-- status: ok; lease_lost: the lease is over, or it is not the newest; gone: there is no such job;
-- cancelled: nack and release dropped it, extend did not extend it, cancel: its worker is told
begin(KEYS, ARGV[1], ARGV[4])
if not open(KEYS, 4, ARGV[2], ARGV[3], false) then
  local none = {-1, 0}
  for _ = 6, #ARGV - 3, 4 do none[#none + 1], none[#none + 2] = 'gone', 0 end
  return none
end

local verbs = {}

function verbs.ack(id, j, _, result)
  count('acked', 1)
  if j[AGAIN] > 0 and j[CANCELLED] == 0 then
    start_over(id, j, j[AGAIN])
    return 'ok'
  end
  remove(id, j)
  if result ~= '' and q.result_ms > 0 then
    call('HSET', q.result, id, result)
    call('ZADD', q.ends, text(now + q.result_ms), 'r' .. id)
  end
  return 'ok'
end

function verbs.nack(id, j, ms, why)
  local was_cancelled = j[CANCELLED] == 1
  count('failed', 1)
  fail(id, j, tonumber(ms) or false, why, ms == 'fatal')
  return was_cancelled and 'cancelled' or 'ok'
end

function verbs.release(id, j)
  local was_cancelled = j[CANCELLED] == 1
  release(id, j)
  return was_cancelled and 'cancelled' or 'ok'
end

function verbs.extend(id, j, ms)
  if j[CANCELLED] == 1 then return 'cancelled' end
  j[DUE] = math.min(now + (tonumber(ms) or 0), j[FIRST] + LEASE_MAX)
  call('ZADD', q[LEASED], text(j[DUE]), id)
  save(id, j)
  return 'ok', j[DUE]
end

function verbs.cancel(id, j)
  if j[CANCELLED] == 1 then return 'cancelled' end
  count('cancelled', 1)
  if j[STATE] ~= LEASED then
    remove(id, j)
    return 'ok'
  end
  release_key(id, j) -- who wants it after all gets another one
  j[CANCELLED], j[AGAIN] = 1, 0
  save(id, j)
  return 'cancelled'
end

local verb = verbs[ARGV[5]]
if not verb then return redis.error_reply('ERR unknown verb') end
if #ARGV > 5 + 4 * 256 then return redis.error_reply('ERR more than 256 jobs') end

local function settle(id, token, ms, said)
  local j = load(id)
  if not j then return 'gone' end
  local dead = j[STATE] == DEAD -- who let a job die has not done it
  if ARGV[5] == 'cancel' then
    if dead then return 'gone' end
  elseif dead or j[STATE] ~= LEASED or j[TOKEN] ~= token or j[DUE] <= now then
    return 'lease_lost'
  end
  return verb(id, j, ms, said)
end

local ids = {}
for i = 6, #ARGV - 3, 4 do ids[#ids + 1] = ARGV[i] end
fetch(ids)
local out = {0, 0}
for i = 6, #ARGV - 3, 4 do
  local status, ends = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  out[#out + 1], out[#out + 2] = status, ends or 0
end
out[1], out[2] = close()
return out
