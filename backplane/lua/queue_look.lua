-- SPDX-License-Identifier: MIT
-- What is there, without changing it.
--
-- KEYS  as in queue.lua
-- ARGV  1 queue   2 rules or ''   3 what:
--   get     4 id. Answers {}, or {state, then as a job of `dead`}; state: ready, leased, delayed,
--           blocked, dead; or {done, id, result, until when it is kept}
--   dead    4 only ids above this one, '0' for all   5 most, up to 256. Answers the dead by id,
--           each an array: id, kind, data, deliveries, failures, due (since when it is dead),
--           priority, group, key, error (what was said of the last failure), when it was put, why
--           it is dead
--   stats   4 '1': bytes are counted anew, in time that grows with the queue. Answers names, each
--           with its number
begin(KEYS, '', 0)
if not open(KEYS, 4, ARGV[1], ARGV[2], false) then return {} end

local function shown(id, j)
  return {id, j[KIND], call('HGET', q.data, id) or '', j[DELIVERIES], j[FAILURES], j[DUE],
    j[PRIORITY], j[GROUP], j[KEY], j[ERROR], j[CREATED], j[DEATH]}
end

local what = {}

function what.get()
  local id = ARGV[4]
  local j = load(id)
  if j then return {STATES[j[STATE]], unpack(shown(id, j))} end
  local ends = tonumber(call('ZSCORE', q.ends, 'r' .. id) or 0)
  if ends <= now then return {} end
  return {'done', id, call('HGET', q.result, id), ends}
end

function what.dead()
  local after = string.format('(%016.0f', tonumber(ARGV[4]))
  local out = call('ZRANGEBYLEX', q.buried, after, '+', 'LIMIT', 0, ARGV[5])
  fetch(out)
  for i, id in ipairs(out) do out[i] = shown(id, load(id)) end
  return out
end

local function oldest()
  local created = 0
  for priority = 0, 3 do
    local id = call('ZRANGEBYSCORE', q[READY], priority, priority, 'LIMIT', 0, 1)[1]
    local j = id and load(id)
    if j and (created == 0 or j[CREATED] < created) then created = j[CREATED] end
  end
  return created
end

local function count_bytes()
  local bytes, cursor = 0, '0'
  repeat
    local some = call('HSCAN', q.job, cursor, 'COUNT', 500)
    cursor = some[1]
    for i = 2, #some[2], 2 do
      local j = cmsgpack.unpack(some[2][i])
      if j[STATE] ~= DEAD then bytes = bytes + j[BYTES] end
    end
  until cursor == '0'
  return bytes
end

function what.stats()
  local out = {}
  for state = READY, DEAD do
    out[#out + 1] = STATES[state]
    out[#out + 1] = call('ZCARD', state == BLOCKED and q.blocked or q[state])
  end
  for _, name in ipairs({'bytes', 'put', 'repeated', 'delivered', 'acked', 'failed', 'lapsed',
      'died', 'cancelled'}) do
    out[#out + 1] = name
    out[#out + 1] = tonumber(call('HGET', q.head, name) or 0)
  end
  if ARGV[4] == '1' then out[12] = count_bytes() end
  local rest = {'oldest', oldest(), 'paused', q.paused and 1 or 0, 'draining',
    q.draining and 1 or 0}
  for _, v in ipairs(rest) do out[#out + 1] = v end
  return out
end

if not what[ARGV[3]] then return redis.error_reply('ERR unknown question') end
return what[ARGV[3]]()
