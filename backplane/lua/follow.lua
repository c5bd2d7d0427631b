-- SPDX-License-Identifier: MIT
-- Followers of rooms. `P` is the prefix of all keys; all lie on the room's server.
--
--   P:followers:R     sorted set: who follows room R, in order of names
--   P:markers:R       hash: follower -> its marker, "offset epoch"
--   P:told:R          hash: the same -> up to where it was told while away, if it ever was
--   P:follows:U       sorted set: rooms that user U follows, in order of names
--
-- ARGV  1 P; then, counted from 1 again: 1 verb   2 user   3 room   4 … words:
--   begin   4 rooms of a user at most   5 users of a room at most
--   read    4 offset   5 epoch or ''
--   told    the same, and from 6 on users
--   rooms, users   4 the name behind which the list begins, or ''   5 lines at most
-- Answers {what, changed, offset, epoch}: what is 0 done, 1 it would be too many, 2 no follower;
-- the position is the marker. Of lists: {0, more}, and of each line name, epoch, offset of the
-- marker, epoch and offset of the top, unread, and of users: told up to, and unread behind that.
-- P itself is no key: the user may have rights on what begins with P: only.
local P = table.remove(ARGV, 1)
local user, name = ARGV[2], ARGV[3]
local followers, markers = P .. ':followers:' .. name, P .. ':markers:' .. name
local told, follows = P .. ':told:' .. name, P .. ':follows:' .. user
local LOOKED_AT = 10000 -- publications, in a call; what is older counts as not quiet
local PIECE = 100

local function state(r)
  return room(P .. ':room:' .. r, generation_of(P .. ':generation'))
end

-- Up to where a marker has read; nil: there is none.
local function reading(r, marker)
  local offset, epoch = string.match(marker or '', '^(%d+) (.*)$')
  if not offset then return nil end
  return epoch == r.epoch and math.min(tonumber(offset), r.offset) or 0
end

local function set(r, at)
  redis.call('HSET', markers, user, text(at) .. ' ' .. r.epoch)
end

local verbs = {}

function verbs.begin()
  local r = state(name)
  local at = reading(r, redis.call('HGET', markers, user))
  if at then return {0, 0, at, r.epoch} end
  if redis.call('ZCARD', follows) >= tonumber(ARGV[4]) or
      redis.call('ZCARD', followers) >= tonumber(ARGV[5]) then
    return {1, 0, 0, ''}
  end
  set(r, r.offset)
  redis.call('ZADD', followers, 0, user)
  redis.call('ZADD', follows, 0, name)
  redis.call('HSET', P .. ':room:' .. name, 'f', '1')
  return {0, 1, r.offset, r.epoch}
end

verbs['end'] = function()
  local was = redis.call('HDEL', markers, user)
  redis.call('HDEL', told, user)
  redis.call('ZREM', followers, user)
  redis.call('ZREM', follows, name)
  if redis.call('EXISTS', markers) == 0 then redis.call('HDEL', P .. ':room:' .. name, 'f') end
  return {0, was, 0, ''}
end

-- Up to where a marker is to go; in another epoch nowhere.
local function wanted(r)
  if ARGV[5] ~= '' and ARGV[5] ~= r.epoch then return 0 end
  return math.min(tonumber(ARGV[4]), r.offset)
end

function verbs.read()
  local marker = redis.call('HGET', markers, user)
  if not marker then return {2, 0, 0, ''} end
  local r = state(name)
  local from, to = reading(r, marker), wanted(r)
  if to <= from then return {0, 0, from, r.epoch} end
  set(r, to)
  return {0, 1, to, r.epoch}
end

function verbs.told()
  local r = state(name)
  local to, changed = wanted(r), 0
  for i = 6, #ARGV do
    local from = reading(r, redis.call('HGET', told, ARGV[i])) or 0
    if to > from and redis.call('HGET', markers, ARGV[i]) then
      redis.call('HSET', told, ARGV[i], text(to) .. ' ' .. r.epoch)
      changed = 1
    end
  end
  return {0, changed, to, r.epoch}
end

local seen = {} -- stream -> offsets of what is quiet in it, newest first; all from `least` on

-- Looks back as far as `at`. Of however many users a stream is asked, it is read once.
local function look_back(stream, at, r)
  local s = seen[stream] or {least = r.quiet + 1, from = text(r.quiet) .. '-0'}
  seen[stream] = s
  while s.least > at + 1 and LOOKED_AT > 0 do
    local entries = redis.call('XREVRANGE', stream, s.from, '-', 'COUNT', PIECE)
    for _, entry in ipairs(entries) do
      s.least = tonumber(string.match(entry[1], '^%d+'))
      if string.find(entry[2][4] or '', 'q', 1, true) then s[#s + 1] = s.least end
    end
    LOOKED_AT = LOOKED_AT - #entries
    if #entries < PIECE then s.least = 0 else s.from = '(' .. entries[PIECE][1] end
  end
  return s
end

local function quiet_behind(stream, at, r)
  local s = look_back(stream, at, r)
  local n, most = 0, #s
  while n < most do
    local middle = math.ceil((n + most) / 2)
    if s[middle] > at then n = middle else most = middle - 1 end
  end
  return n
end

-- What the stream holds behind the marker, but for what is quiet.
local function unread(stream, at, r)
  local n = math.min(r.offset - at, redis.call('XLEN', stream))
  return n > 0 and at < r.quiet and n - quiet_behind(stream, at, r) or n
end

-- Who was told how far is known of one room's users only.
local function line(out, label, marker, heard, room_name, r)
  local offset, epoch = string.match(marker or '', '^(%d+) (.*)$')
  local words = {epoch or '', tonumber(offset) or 0, '', 0, 0, 0, 0}
  if r then -- else nothing was published there for long
    local stream, at = P .. ':stream:' .. room_name, reading(r, marker) or 0
    local n, to = unread(stream, at, r), reading(r, heard) or 0
    words = {r.epoch, at, r.epoch, r.offset, n, to, to > at and unread(stream, to, r) or n}
  end
  out[#out + 1] = label
  for _, v in ipairs(words) do out[#out + 1] = v end
end

-- A room that is not remembered is not made for being asked about.
local function known(r)
  return redis.call('EXISTS', P .. ':room:' .. r) == 1 and state(r) or nil
end

local function page(key)
  local from, most = ARGV[4] == '' and '-' or '(' .. ARGV[4], tonumber(ARGV[5])
  local names = redis.call('ZRANGEBYLEX', key, from, '+', 'LIMIT', 0, most + 1)
  local more = #names > most and 1 or 0
  names[most + 1] = nil
  return names, {0, more}
end

function verbs.rooms()
  local names, out = page(follows)
  for _, r in ipairs(names) do
    line(out, r, redis.call('HGET', P .. ':markers:' .. r, user), nil, r, known(r))
  end
  return out
end

function verbs.users()
  local names, out = page(followers)
  local r = known(name)
  for _, one in ipairs(names) do
    line(out, one, redis.call('HGET', markers, one), redis.call('HGET', told, one), name, r)
  end
  return out
end

return verbs[ARGV[1]]()
