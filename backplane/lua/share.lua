-- SPDX-License-Identifier: MIT
-- What gateways share beside streams. `P` is the prefix of all keys.
--
--   P:nodes           sorted set: gateway -> when its lease runs out
--   P:node:N          what gateway N tells of itself, JSON; ends with the lease
--   P:in:R            set: gateways with members in room R
--   P:members:N:R     hash: members of room R on gateway N: id -> '1' (announced) or '0', ClientInfo
--   P:users:R         hash: members of room R of each user, on all gateways
--   P:rooms:N         set: rooms with members on gateway N
--   P:connections:U   hash: gateway -> connections of user U there; '' -> number of the newest
--   P:counted:N       set: users with connections on gateway N that are counted
--   P:spent:A         for each rate, when account A is full again, in us; ends with the last
--   P:undertaker      which gateway buries the dead
--
-- All of it expires when nobody looks after it any more: members where no gateway is left to bury
-- them. `beat`, `enter` and, of each room every 40 s, check.lua put that off.
--
-- ARGV  1 P; then, counted from 1 again: 1 verb   2 this gateway   3 room   4 … words; see driver.h
-- P itself is no key: the user may have rights on what begins with P: only.
local P = table.remove(ARGV, 1)
local node, name = ARGV[2], ARGV[3]

local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function members(gateway, r)
  return P .. ':members:' .. gateway .. ':' .. r
end

-- In the name of a gateway, which is the only one that does not listen.
local function tell(gateway, r, what, info)
  redis.call('PUBLISH', P .. ':pub:' .. r, 's ' .. gateway .. ' ' .. what .. ' ' .. info)
end

local function alive()
  return redis.call('ZRANGEBYSCORE', P .. ':nodes', '(' .. text(now()), '+inf')
end

local function total(r)
  local n = 0
  for _, gateway in ipairs(redis.call('SMEMBERS', P .. ':in:' .. r)) do
    n = n + redis.call('HLEN', members(gateway, r))
  end
  return n
end

-- Gateways of the room that are alive.
local function present(r)
  local here, out = {}, {}
  for _, gateway in ipairs(redis.call('SMEMBERS', P .. ':in:' .. r)) do here[gateway] = true end
  for _, gateway in ipairs(alive()) do
    if here[gateway] then out[#out + 1] = gateway end
  end
  return out
end

local function remove(gateway, r, id, value, most)
  local key, users = members(gateway, r), P .. ':users:' .. r
  local info = string.sub(value, 2)
  local well, client = pcall(cjson.decode, info)
  local user = well and type(client) == 'table' and tostring(client.user or '') or ''
  local tells = string.sub(value, 1, 1) == '1' and total(r) <= most
  redis.call('HDEL', key, id)
  if redis.call('HINCRBY', users, user, -1) <= 0 then redis.call('HDEL', users, user) end
  if redis.call('EXISTS', key) == 0 then
    redis.call('SREM', P .. ':in:' .. r, gateway)
    redis.call('SREM', P .. ':rooms:' .. gateway, r)
  end
  if tells then tell(gateway, r, 'l', info) end
end

local function connections(user)
  return P .. ':connections:' .. user
end

-- A gateway has so many now. The number of the newest goes with the last.
local function count(gateway, user, n)
  local key, counted = connections(user), P .. ':counted:' .. gateway
  if n > 0 then
    redis.call('HSET', key, gateway, text(n))
    redis.call('SADD', counted, user)
    return
  end
  redis.call('HDEL', key, gateway)
  redis.call('SREM', counted, user)
  if redis.call('HLEN', key) == 1 then redis.call('HDEL', key, '') end
end

local verbs = {}

function verbs.signal()
  tell(node, name, ARGV[4], ARGV[5])
  return {}
end

function verbs.records()
  return redis.call('HVALS', P .. ':records:' .. name)
end

function verbs.enter()
  local key = members(node, name)
  local fresh = redis.call('HSET', key, ARGV[4], ARGV[7] .. ARGV[6]) == 1
  if not fresh then return {} end
  redis.call('ZADD', P .. ':nodes', 'NX', text(now() + 15000), node)
  redis.call('HINCRBY', P .. ':users:' .. name, ARGV[5], 1)
  if redis.call('HLEN', key) == 1 then
    redis.call('SADD', P .. ':in:' .. name, node)
    redis.call('SADD', P .. ':rooms:' .. node, name)
    redis.call('PEXPIRE', P .. ':rooms:' .. node, STAY)
    stay(P, node, name)
  end
  if ARGV[7] == '1' and total(name) <= tonumber(ARGV[8]) then tell(node, name, 'j', ARGV[6]) end
  return {}
end

function verbs.leave()
  local value = redis.call('HGET', members(node, name), ARGV[4])
  if value then remove(node, name, ARGV[4], value, tonumber(ARGV[5])) end
  return {}
end

function verbs.members()
  local out, room_for = {}, tonumber(ARGV[4])
  for _, gateway in ipairs(present(name)) do
    local key = members(gateway, name)
    if redis.call('HLEN', key) * 60 > room_for then return {'more'} end
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      room_for = room_for - #all[i] - #all[i + 1] - 4
      if room_for < 0 then return {'more'} end
      out[#out + 1] = all[i]
      out[#out + 1] = string.sub(all[i + 1], 2)
    end
  end
  return out
end

function verbs.own()
  return redis.call('HKEYS', members(node, name))
end

function verbs.count()
  local n = 0
  for _, gateway in ipairs(present(name)) do n = n + redis.call('HLEN', members(gateway, name)) end
  return {text(n), text(redis.call('HLEN', P .. ':users:' .. name))}
end

function verbs.beat()
  local nodes, ms = P .. ':nodes', tonumber(ARGV[4])
  local lease = redis.call('ZSCORE', nodes, node)
  redis.call('ZADD', nodes, text(now() + ms), node)
  redis.call('PEXPIRE', nodes, STAY)
  redis.call('PEXPIRE', P .. ':rooms:' .. node, STAY)
  redis.call('SET', P .. ':node:' .. node, ARGV[5], 'PX', text(ms))
  local dead = redis.call('ZRANGEBYSCORE', nodes, '-inf', text(now()))
  local out = {lease and tonumber(lease) > now() and '0' or '1', text(#dead)}
  for _, gateway in ipairs(dead) do out[#out + 1] = gateway end
  for _, gateway in ipairs(alive()) do
    out[#out + 1] = gateway
    out[#out + 1] = redis.call('GET', P .. ':node:' .. gateway) or ''
  end
  return out
end

-- Connections of a user: on other gateways that are alive, and the number of the newest.
local function elsewhere(user)
  local n, newest, all = 0, 0, redis.call('HGETALL', connections(user))
  for i = 1, #all, 2 do
    if all[i] == '' then
      newest = tonumber(all[i + 1])
    elseif all[i] ~= node then
      local lease = redis.call('ZSCORE', P .. ':nodes', all[i])
      if lease and tonumber(lease) > now() then n = n + all[i + 1] end
    end
  end
  return n, newest
end

function verbs.claim()
  local user, have, want, most = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  local single, number = ARGV[8] == '1', tonumber(ARGV[9])
  local others, newest = elsewhere(user)
  local got = want
  if not single and most > 0 then got = math.max(0, math.min(want, most - others - have)) end
  local counts = single and want > 0 and 1 or have + got
  redis.call('ZADD', P .. ':nodes', 'NX', text(now() + 15000), node)
  count(node, user, counts)
  if single and counts > 0 then
    local t = redis.call('TIME')
    if want > 0 then number = math.max(t[1] * 1000000 + t[2], newest + 1) end
    if number > newest then
      newest = number
      redis.call('HSET', connections(user), '', text(number))
      if others > 0 then tell(node, name, 'o', text(number) .. ' ' .. user) end
    end
  end
  return {text(got), text(newest), text(counts)}
end

function verbs.connected()
  local living, out = {}, {}
  for _, gateway in ipairs(alive()) do living[gateway] = gateway ~= node end
  for user in string.gmatch(ARGV[4], '([^\n]*)\n') do
    local there = '0'
    for _, gateway in ipairs(redis.call('HKEYS', connections(user))) do
      if living[gateway] then there = '1' end
    end
    out[#out + 1] = there
  end
  return {table.concat(out)}
end

-- As backplane/base/bucket.c, in microseconds.
local DEBT = 1

function verbs.spend()
  local t, out = redis.call('TIME'), {}
  local us = t[1] * 1000000 + t[2]
  for account, rates in string.gmatch(ARGV[4], '(%x+)([ %d]*)\n') do
    local key, kept, full, left, latest = P .. ':spent:' .. account, {}, {}, {}, us
    for at in string.gmatch(redis.call('GET', key) or '', '%d+') do kept[#kept + 1] = tonumber(at) end
    for amount, period, spent in string.gmatch(rates, ' (%d+) (%d+) (%d+)') do
      local i, limit = #full + 1, us + period * 1000 * (1 + DEBT)
      local at = math.min(math.max(kept[i] or us, us), limit)
      if tonumber(amount) > 0 then at = math.min(at + spent * period * 1000 / amount, limit) end
      full[i], left[i] = text(at), text((at - us) * 1000)
      latest = math.max(latest, at)
    end
    if latest > us then
      redis.call('SET', key, table.concat(full, ' '), 'PX', text(math.ceil((latest - us) / 1000)))
    end
    out[#out + 1] = table.concat(left, ' ')
  end
  return out
end

function verbs.bury()
  local dead, left = ARGV[4], tonumber(ARGV[5])
  local lease = redis.call('ZSCORE', P .. ':nodes', dead)
  if not lease or tonumber(lease) > now() then return {'0'} end
  if not redis.call('SET', P .. ':undertaker', node, 'NX', 'PX', ARGV[7]) and
      redis.call('GET', P .. ':undertaker') ~= node then
    return {'0'}
  end
  local rooms = P .. ':rooms:' .. dead
  while left > 0 do
    local r = redis.call('SRANDMEMBER', rooms)
    local user = not r and redis.call('SRANDMEMBER', P .. ':counted:' .. dead)
    if user then
      count(dead, user, 0)
      left = left - 1
    elseif r then
      local some = redis.call('HRANDFIELD', members(dead, r), left, 'WITHVALUES')
      if #some == 0 then redis.call('SREM', rooms, r) end
      for i = 1, #some, 2 do remove(dead, r, some[i], some[i + 1], tonumber(ARGV[6])) end
      left = left - #some / 2 - 1
    else
      redis.call('DEL', rooms, P .. ':node:' .. dead)
      redis.call('ZREM', P .. ':nodes', dead)
      return {'0'}
    end
  end
  return {'1'}
end

return verbs[ARGV[1]]()
