-- SPDX-License-Identifier: MIT
-- Reads a room's position, what is stored after a place, and what is asked for beside that.
--
-- KEYS  1 room   2 stream   3 generation
-- ARGV  1 epoch of the place, '' for none   2 its offset   3 bytes that are answered of it at most
--       4 since, exclusive   5 '1': backwards   6 publications at most   7 bytes at most
-- Answers {epoch, offset, number, cut, after, asked}; `after` and `asked` are flat lists of offset,
-- publication, flags; cut is 1 if there was more after the place than may be answered.
local PIECE = 50

local r = room(KEYS[1], generation_of(KEYS[3]))
redis.call('PEXPIRE', KEYS[1], QUIET, 'GT')

local function take(command, from, to, count, bytes)
  local out, size = {}, 0
  while count > 0 do
    local piece = math.min(count, PIECE)
    local entries = redis.call(command, KEYS[2], from, to, 'COUNT', piece)
    for _, entry in ipairs(entries) do
      local fields, offset = entry[2], string.match(entry[1], '^%d+')
      size = size + #fields[2] + #',"offset":' + #offset -- as it will be sent
      if #out > 0 and size > bytes then return out, true end
      out[#out + 1] = tonumber(offset)
      out[#out + 1] = fields[2]
      out[#out + 1] = fields[4] or '-'
    end
    if #entries < piece then return out, false end
    count = count - piece
    from = '(' .. entries[piece][1]
  end
  return out, false
end

local after, cut = {}, false
if ARGV[1] == r.epoch and tonumber(ARGV[2]) < r.offset then
  after, cut = take('XRANGE', '(' .. ARGV[2] .. '-0', '+', 1e9, tonumber(ARGV[3]))
end
local asked = {}
local since = '(' .. ARGV[4] .. '-0'
if ARGV[5] ~= '1' then
  asked = take('XRANGE', since, '+', tonumber(ARGV[6]), tonumber(ARGV[7]))
elseif ARGV[4] ~= '0' then
  asked = take('XREVRANGE', since, '-', tonumber(ARGV[6]), tonumber(ARGV[7]))
end
return {r.epoch, r.offset, r.seq, cut and 1 or 0, after, asked}
