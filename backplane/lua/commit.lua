-- SPDX-License-Identifier: MIT
-- Puts one publication into a room: everything or nothing, in one step.
--
-- KEYS  1 room   2 stream   3 keys   4 generation   5 lasting key, if there is one
-- ARGV  1 channel to publish on
--       2 data, JSON   3 info, JSON or ''   4 tags, the inside of a JSON object of strings, or ''
--       5 flags: t stamps the time, d lets it be sent as a difference; '-' for none
--       6 publications kept, 0: not stored   7 bytes kept   8 ms kept, 0: as long as the room
--       9 ms that a room is remembered
--       10 key or ''   11 hash of the data   12 ms that a lasting key is remembered
--       13 version, '0' for none   14 its epoch or ''
--       15 '' or a hash, in which 16 a field gets the data, or is deleted if 17 is '1'
--       18 '' or a key that lives 19 ms, and while it is there nothing is published
-- Answers {what, offset, epoch, number}: what is 0 published, 1 repeated (nothing was published),
-- 2 the key was used for other data, 3 not yet: `offset` ms are to be waited.
-- What is behind 14 may be left out.
local r = room(KEYS[1], generation_of(KEYS[4]))
local flags, key, count = ARGV[5], ARGV[10], tonumber(ARGV[6])

local function newer(a, b) -- decimal numbers of any size
  if #a ~= #b then return #a > #b end
  return a > b
end

if KEYS[5] then
  local at = redis.call('GET', KEYS[5])
  if at then
    local offset, epoch = string.match(at, '^(%d+) (.*)$')
    return {1, tonumber(offset), epoch, r.seq}
  end
end
if count > 0 and key ~= '' then
  local offset, hash = string.match(redis.call('HGET', KEYS[3], key) or '', '^(%d+) (.*)$')
  local first = offset and redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  if first and tonumber(string.match(first[1], '^%d+')) <= tonumber(offset) then
    if hash ~= ARGV[11] then return {2, 0, '', r.seq} end
    return {1, tonumber(offset), r.epoch, r.seq}
  end
end
local version = count > 0 and ARGV[13] ~= '0' and ARGV[13]
if version and r.version and (ARGV[14] == '' or ARGV[14] == r.version_epoch) and
    not newer(version, r.version) then
  return {1, r.offset, r.epoch, r.seq}
end

if ARGV[18] and ARGV[18] ~= '' and not redis.call('SET', ARGV[18], '1', 'NX', 'PX', ARGV[19]) then
  return {3, math.max(redis.call('PTTL', ARGV[18]), 1), '', r.seq}
end
if ARGV[15] and ARGV[15] ~= '' then
  if ARGV[17] == '1' then
    redis.call('HDEL', ARGV[15], ARGV[16])
  else
    redis.call('HSET', ARGV[15], ARGV[16], ARGV[2])
  end
end

local tags = ARGV[4]
if string.find(flags, 't', 1, true) then
  local now = redis.call('TIME')
  local ms = now[1] .. string.format('%03d', math.floor(tonumber(now[2]) / 1000))
  tags = tags .. (tags ~= '' and ',' or '') .. '"t":"' .. ms .. '"'
end
local pub = '{"data":' .. ARGV[2] .. (ARGV[3] ~= '' and ',"info":' .. ARGV[3] or '') ..
  (tags ~= '' and ',"tags":{' .. tags .. '}' or '') .. '}'
local delta = string.find(flags, 'd', 1, true) and 'd' or '-'

local function trim()
  local n = redis.call('XLEN', KEYS[2])
  r.bytes = n == 1 and #pub or r.bytes + #pub -- the stream may have ended meanwhile
  while n > 1 and (n > count or r.bytes > tonumber(ARGV[7])) do
    local most = n > count and math.min(n - count, 100) or 1
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', most)) do
      local fields = entry[2]
      r.bytes = r.bytes - #fields[2]
      if fields[5] == 'k' then redis.call('HDEL', KEYS[3], fields[6]) end
      n = n - 1
    end
    redis.call('XTRIM', KEYS[2], 'MAXLEN', n)
  end
end

local function store()
  if r.new or r.offset == 0 then redis.call('DEL', KEYS[2], KEYS[3]) end
  r.offset = r.offset + 1
  local id = text(r.offset) .. '-0'
  if key ~= '' then
    redis.call('XADD', KEYS[2], id, 'p', pub, 'f', delta, 'k', key)
    redis.call('HSET', KEYS[3], key, text(r.offset) .. ' ' .. ARGV[11])
  else
    redis.call('XADD', KEYS[2], id, 'p', pub, 'f', delta)
  end
  trim()
  redis.call('HSET', KEYS[1], 's', text(r.offset), 'q', text(r.seq), 'b', text(r.bytes))
  if version then redis.call('HSET', KEYS[1], 'v', version) end
  if version and ARGV[14] ~= '' then redis.call('HSET', KEYS[1], 'w', ARGV[14]) end
  local life = ARGV[8] ~= '0' and ARGV[8] or ARGV[9]
  redis.call('PEXPIRE', KEYS[2], life)
  redis.call('PEXPIRE', KEYS[3], life)
  redis.call('PEXPIRE', KEYS[1], newer(life, ARGV[9]) and life or ARGV[9])
end

r.seq = r.seq + 1
local offset, epoch = 0, ''
if count > 0 then
  store()
  offset, epoch = r.offset, r.epoch
else
  redis.call('HSET', KEYS[1], 'q', text(r.seq))
  if not r.new then redis.call('PEXPIRE', KEYS[1], QUIET, 'GT') end
end
if KEYS[5] then redis.call('SET', KEYS[5], text(offset) .. ' ' .. epoch, 'PX', ARGV[12]) end
redis.call('PUBLISH', ARGV[1],
  'p ' .. r.epoch .. ' ' .. text(offset) .. ' ' .. text(r.seq) .. ' ' .. delta .. ' ' .. pub)
return {0, offset, epoch, r.seq}
