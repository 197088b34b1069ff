-- SPDX-License-Identifier: MIT
--
-- Shows synward's SYN cookies (version 1, docs/cookie.md) in Wireshark and tshark: what the SYN
-- offers, what the SYN-ACK's ISN and TSval carry, and which ACK returns it.  Layout only: whether a
-- MAC is right takes the key, and `synward explain -k` tells.
--
-- Install: copy to ~/.local/lib/wireshark/plugins/, or give it to one run:
--     tshark -X lua_script:synward.lua -o synward.ports:80,443 -r FILE -Y synward
-- Preference synward.ports: the guarded ports, as in "80,443,8000-8010"; empty for every port.

local synward = Proto("synward", "synward SYN cookie")

synward.prefs.ports = Pref.string("Guarded ports", "80,443",
	"Ports whose SYN-ACKs hold synward cookies, as in 80,443,8000-8010; empty for every port")

local f = {
	kind = ProtoField.string("synward.kind", "Kind", base.ASCII, "syn, syn-ack or ack"),
	why = ProtoField.string("synward.why", "Why"),
	form = ProtoField.string("synward.form", "Form", base.ASCII, "wide or narrow"),
	isn = ProtoField.uint32("synward.isn", "Cookie's ISN", base.HEX),
	tsval = ProtoField.uint32("synward.tsval", "Cookie's TSval", base.HEX),
	mac = ProtoField.uint64("synward.mac", "MAC bits", base.HEX),
	mac_bits = ProtoField.uint8("synward.mac_bits", "Number of MAC bits", base.DEC),
	epoch_parity = ProtoField.uint8("synward.epoch_parity", "Epoch parity", base.DEC),
	mss_index = ProtoField.uint8("synward.mss_index", "MSS index", base.DEC),
	mss = ProtoField.uint16("synward.mss", "Client's MSS", base.DEC),
	wscale_code = ProtoField.uint8("synward.wscale_code", "Window scale code", base.DEC),
	wscale = ProtoField.uint8("synward.wscale", "Client's window scale", base.DEC),
	sack = ProtoField.bool("synward.sack", "SACK"),
	ecn = ProtoField.bool("synward.ecn", "ECN"),
	synack = ProtoField.framenum("synward.synack", "Cookie made in", base.NONE,
		frametype.REQUEST),
	ack = ProtoField.framenum("synward.ack", "Cookie returned in", base.NONE,
		frametype.RESPONSE),
}
for _, field in pairs(f) do
	table.insert(synward.fields, field)
end

local tcp = {
	stream = Field.new("tcp.stream"),
	sport = Field.new("tcp.srcport"),
	dport = Field.new("tcp.dstport"),
	flags = Field.new("tcp.flags"),
	seq = Field.new("tcp.seq_raw"),
	ack = Field.new("tcp.ack_raw"),
	tsval = Field.new("tcp.options.timestamp.tsval"),
	tsecr = Field.new("tcp.options.timestamp.tsecr"),
	mss = Field.new("tcp.options.mss_val"),
	wscale = Field.new("tcp.options.wscale.shift"),
	sack = Field.new("tcp.options.sack_perm"),
}
local ip6 = Field.new("ipv6.src")
local ip4 = Field.new("ip.src")
local icmp, icmp6 = Field.new("icmp.type"), Field.new("icmpv6.type")

-- The tables of docs/cookie.md.
local WIDE_MSS = {
	[4] = { [0] = 216, 536, 1240, 1380, 1420, 1452, 1460, 8960 },
	[6] = { [0] = 216, 536, 1220, 1360, 1400, 1432, 1440, 8940 },
}
local NARROW_MSS = {
	[4] = { [0] = 536, 1240, 1460, 8960 },
	[6] = { [0] = 536, 1220, 1440, 8940 },
}
local NARROW_WSCALE = { 0, 4, 6, 7, 8, 9, 10 } -- by code, from 1; code 0 is none
local NO_WSCALE = 15 -- wide

local SYN, RST, ACK = 0x02, 0x04, 0x10

local streams = {} -- by tcp.stream: the SYN and the SYN-ACK seen last
local verdicts = {} -- by frame number: what the first pass found
local guarded = nil -- by port number, or false for every port

local function bits(n, lo, width)
	return bit32.extract(n, lo, width)
end

-- In 32 bits.
local function minus_one(n)
	return n == 0 and 0xffffffff or n - 1
end

local function value(info)
	return info and info.value
end

-- "80,443,8000-8010" as a set of ports; false, for every port, when there is no text.  Words that name
-- no port add none.
local function read_ports(text)
	local set = {}
	if not text:find("%S") then
		return false
	end
	for item in text:gmatch("[^,%s]+") do
		local first, last = item:match("^(%d+)%-(%d+)$")
		first = tonumber(first or item:match("^%d+$"))
		last = tonumber(last) or first
		if first and last <= 65535 then
			for port = first, last do
				set[port] = true
			end
		end
	end
	return set
end

local function is_guarded(port)
	if guarded == nil then
		guarded = read_ports(synward.prefs.ports)
	end
	return not guarded or guarded[port]
end

function synward.prefs_changed()
	guarded = nil
end

function synward.init()
	streams, verdicts, guarded = {}, {}, nil
end

-- The family of the innermost IP header.
local function family()
	local v4, v6 = ip4(), ip6()
	if v4 and v6 then
		return v4.offset > v6.offset and 4 or 6
	end
	return v6 and 6 or 4
end

-- Take a cookie apart.  tsval is nil in the narrow form.
local function decode(isn, tsval, fam)
	local c = { isn = isn, tsval = tsval }
	if tsval then
		c.form, c.mac_bits = "wide", 54
		c.mac = UInt64.new(bit32.bor(bit32.lshift(isn, 22), bit32.rshift(tsval, 10)),
			bit32.rshift(isn, 10))
		c.epoch_parity = bits(tsval, 9, 1)
		c.mss_index = bits(tsval, 6, 3)
		c.mss = WIDE_MSS[fam][c.mss_index]
		c.wscale_code = bits(tsval, 2, 4)
		c.wscale = c.wscale_code ~= NO_WSCALE and c.wscale_code or nil
		c.sack = bits(tsval, 1, 1) == 1
		c.ecn = bits(tsval, 0, 1) == 1
	else
		c.form, c.mac_bits = "narrow", 25
		c.mac = UInt64.new(bit32.rshift(isn, 7), 0)
		c.epoch_parity = bits(isn, 6, 1)
		c.mss_index = bits(isn, 4, 2)
		c.mss = NARROW_MSS[fam][c.mss_index]
		c.wscale_code = bits(isn, 1, 3)
		c.wscale = NARROW_WSCALE[c.wscale_code]
		c.sack = bits(isn, 0, 1) == 1
	end
	return c
end

local function terms_text(c)
	return string.format("MSS %d, window scale %s, SACK %s%s", c.mss,
		c.wscale and tostring(c.wscale) or "none", c.sack and "yes" or "no",
		c.ecn and ", ECN" or "")
end

local function on_syn(stream, pinfo)
	local offer = {
		frame = pinfo.number,
		isn = value(tcp.seq()),
		mss = value(tcp.mss()),
		wscale = value(tcp.wscale()),
		sack = tcp.sack() ~= nil,
		ts = tcp.tsval() ~= nil,
	}
	-- A late copy of the SYN: the SYN-ACK that was made for it stands.
	local made = streams[stream] and streams[stream].synack
	streams[stream] = { syn = offer,
		synack = made and made.client_isn == offer.isn and made or nil }
	return {
		kind = "syn",
		why = string.format("offers MSS %s, window scale %s, SACK %s, timestamps %s",
			offer.mss or "none", offer.wscale or "none", offer.sack and "yes" or "no",
			offer.ts and "yes: a wide cookie fits" or "no: only a narrow cookie fits"),
	}
end

-- What rounding down took away from the client.
local function lost_text(c, offer)
	local lost = {}
	if offer and offer.mss and offer.mss > c.mss then
		table.insert(lost, string.format("MSS %d becomes %d", offer.mss, c.mss))
	end
	if offer and offer.wscale and c.wscale and offer.wscale ~= c.wscale then
		table.insert(lost, string.format("window scale %d becomes %d", offer.wscale, c.wscale))
	end
	return #lost > 0 and "; rounded down: " .. table.concat(lost, ", ") or ""
end

local function on_synack(stream, pinfo)
	local c = decode(value(tcp.seq()), value(tcp.tsval()), family())
	local s = streams[stream] or {}
	streams[stream] = s
	s.synack = { frame = pinfo.number, isn = c.isn, tsval = c.tsval,
		client_isn = minus_one(value(tcp.ack())) }
	return {
		kind = "syn-ack", cookie = c,
		why = string.format("%s cookie: %s; epoch parity %d, %d MAC bits%s", c.form,
			terms_text(c), c.epoch_parity, c.mac_bits, lost_text(c, s.syn)),
	}
end

-- The ACK that ends the handshake, or the first data segment, which returns the cookie as well.
local function on_ack(stream, pinfo)
	local s = streams[stream]
	local isn, tsecr = minus_one(value(tcp.ack())), value(tcp.tsecr())
	if not s then -- the capture began after the SYN-ACK: the first ACK is taken for it
		streams[stream] = { over = true }
		return { kind = "ack", cookie = decode(isn, tsecr, family()),
			why = "returns this, if it ends a handshake (the SYN-ACK is not in the capture)" }
	end
	local made = s.synack
	if not made or minus_one(value(tcp.seq())) ~= made.client_isn or made.isn ~= isn then
		return nil
	end
	local c = decode(isn, tsecr, family())
	local v = { kind = "ack", cookie = c, synack = made.frame }
	if made.tsval == tsecr then
		v.why = string.format("returns the cookie of frame %d: %s", made.frame, terms_text(c))
		if verdicts[made.frame] and not verdicts[made.frame].ack then
			verdicts[made.frame].ack = pinfo.number
		end
	elseif (made.tsval == nil) ~= (tsecr == nil) then
		v.why = "the timestamp option came or went since the SYN-ACK: another form, no proof"
	else
		v.why = string.format("ACK number of frame %d, but another TSecr: no proof", made.frame)
	end
	return v
end

local function judge(pinfo)
	local flags, stream = value(tcp.flags()), value(tcp.stream())
	local sport, dport = value(tcp.sport()), value(tcp.dport())
	if bit32.btest(flags, RST) then
		return nil
	end
	if bit32.btest(flags, SYN) then
		if not bit32.btest(flags, ACK) then
			return is_guarded(dport) and on_syn(stream, pinfo)
		end
		return is_guarded(sport) and on_synack(stream, pinfo)
	end
	return bit32.btest(flags, ACK) and is_guarded(dport) and on_ack(stream, pinfo)
end

local function add_cookie(tree, c, isn_at, ts_at)
	local function add(field, at, v)
		if v ~= nil then
			tree:add(field, at, v)
		end
	end
	local data_at = ts_at or isn_at
	add(f.form, isn_at, c.form)
	add(f.isn, isn_at, c.isn)
	add(f.tsval, ts_at, c.tsval)
	add(f.mac, isn_at, c.mac)
	add(f.mac_bits, isn_at, c.mac_bits)
	add(f.epoch_parity, data_at, c.epoch_parity)
	add(f.mss_index, data_at, c.mss_index)
	add(f.mss, data_at, c.mss)
	add(f.wscale_code, data_at, c.wscale_code)
	add(f.wscale, data_at, c.wscale)
	add(f.sack, data_at, c.sack)
	add(f.ecn, data_at, c.ecn)
end

function synward.dissector(_, pinfo, root)
	-- An ICMP message quotes the start of a segment: that one is not on the wire again.
	if not (tcp.stream() and tcp.ack() and tcp.flags()) or icmp() or icmp6() then
		return
	end
	-- Once a frame, in the order of the capture.  pinfo.visited would not do: the first of tshark's
	-- two passes may come without fields.
	if verdicts[pinfo.number] == nil then
		verdicts[pinfo.number] = judge(pinfo) or false
	end
	local v = verdicts[pinfo.number]
	if not v then
		return
	end
	local seq_at, ack_at = tcp.seq().range, tcp.ack().range
	local isn_at = v.kind == "ack" and ack_at or seq_at
	local ts = v.kind == "ack" and tcp.tsecr() or tcp.tsval()
	local tree = root:add(synward, isn_at):append_text(", " .. v.why)
	tree:add(f.kind, isn_at, v.kind)
	tree:add(f.why, isn_at, v.why)
	if v.cookie then
		add_cookie(tree, v.cookie, isn_at, ts and ts.range)
	end
	if v.synack then
		tree:add(f.synack, isn_at, v.synack):set_generated()
	end
	if v.ack then
		tree:add(f.ack, isn_at, v.ack):set_generated()
	end
end

-- All fields, also in a first pass that shows nothing: what a frame means depends on those before it.
register_postdissector(synward, true)
