/* SPDX-License-Identifier: MIT */
/* Every kind of mistake in a configuration, with its exact words. */
#include "ops/settings.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What most rows begin with: right, and on lines 1 to 5. */
#define GOOD                                                                                       \
	"interface: eth0\n"                                                                        \
	"pools: [{ name: app, servers: [\"10.0.0.1:80\"] }]\n"                                     \
	"listeners:\n"                                                                             \
	"  - name: web\n"                                                                          \
	"    listen: [\"192.0.2.1:80\"]\n"
#define LISTENER GOOD "    upstreams: app\n" /* and line 6 */
#define POOLED                                                                                     \
	"interface: eth0\n"                                                                        \
	"listeners: [{ name: web, listen: [\"192.0.2.1:80\"], upstreams: app }]\n"                 \
	"pools:\n"                                                                                 \
	"  - name: app\n"                                                                          \
	"    servers: [\"10.0.0.1:80\"]\n"

static const struct {
	const char *name, *text, *want; /* every mistake, one line each */
} rows[] = {
	/* ---- the text ---- */
	{ "empty", "", "f:1:1: empty; a configuration has listeners, see synward.yaml(5)" },
	{ "comments only", "# nothing\n\n",
	  "f:1:1: empty; a configuration has listeners, see synward.yaml(5)" },
	{ "explicit null", "~\n",
	  "f:1:1: empty; a configuration has listeners, see synward.yaml(5)" },
	{ "a list", "- a\n",
	  "f:1:1: not a map; a configuration begins with a key such as \"listeners:\"" },
	{ "a word", "listeners\n",
	  "f:1:1: not a map; a configuration begins with a key such as \"listeners:\"" },
	{ "tab", "listeners:\n\t- name: web\n", "f:2:1: a tab; indent with spaces" },
	{ "tab behind spaces", LISTENER "  \tmac: x\n", "f:7:3: a tab; indent with spaces" },
	{ "Latin-1", "user: \"m\xfcller\"\n",
	  "f:1:9: not UTF-8; save the file in UTF-8 encoding" },
	{ "overlong", "a: \"\xc0\xaf\"\n", "f:1:5: not UTF-8; save the file in UTF-8 encoding" },
	{ "surrogate", "a: \"\xed\xa0\x80\"\n",
	  "f:1:5: not UTF-8; save the file in UTF-8 encoding" },
	{ "UTF-16", "\xff\xfe" "a", "f:1:1: not UTF-8; save the file in UTF-8 encoding" },
	{ "control character", "user: \"a\x01\"\n",
	  "f:1:9: a control character; a configuration is plain text" },
	{ "open quote", "user: \"a\n",
	  "f:2:1: not YAML: found unexpected end of stream while scanning a quoted scalar; check "
	  "indentation, colons and quotes above" },
	{ "open bracket", "listeners: [\n",
	  "f:2:1: not YAML: did not find expected node content while parsing a flow node; check "
	  "indentation, colons and quotes above" },
	{ "bad indentation", LISTENER "   mac: hmac-sha256\n",
	  "f:7:4: not YAML: did not find expected '-' indicator while parsing a block collection; "
	  "check indentation, colons and quotes above" },
	{ "second document", LISTENER "---\nuser: a\n",
	  "f:7:1: a second document; a configuration is one, take the --- out" },
	{ "anchor", "user: &a x\n", "f:1:7: an anchor (&); write the value out where it is used" },
	{ "alias", "user: *a\n", "f:1:7: an alias (*); write the value out" },
	{ "alias bomb", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
	  "f:1:4: an anchor (&); write the value out where it is used" },
	{ "tag", "user: !!str x\n", "f:1:7: a type tag (!); write the plain value" },
	{ "zero byte by escape", "user: \"a\\0b\"\n",
	  "f:1:7: a zero byte in the text; take the \\0 out" },
	{ "nested too deep", "a: [[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]\n",
	  "f:1:19: nested too deep; a configuration has at most 4 levels" },
	{ "a list as key", "? [a]\n: b\n",
	  "f:1:3: a list or map in place of a key; a key is a word" },
	{ "bare IPv6 address", GOOD "    upstreams: app\n  - name: six\n    listen: [[::1]:80]\n",
	  "f:8:14: an IPv6 address without quotes; write \"[2001:db8::1]:443\"" },
	/* ---- keys ---- */
	{ "duplicate key", LISTENER "interface: eth1\n",
	  "f:7:1: interface is given twice, first on line 1; keep one" },
	{ "duplicate key in a listener", LISTENER "    name: web\n",
	  "f:7:5: name is given twice, first on line 4; keep one" },
	{ "unknown key", LISTENER "colour: red\n",
	  "f:7:1: unknown key \"colour\" at the top level; the keys are user, interface, key_file, "
	  "listeners, pools, limits, drain_timeout, log, control, metrics, flood" },
	{ "near miss", LISTENER "key-file: /x\n",
	  "f:7:1: unknown key \"key-file\" at the top level; did you mean \"key_file\"?" },
	{ "near miss in a listener", LISTENER "    qeue_depth: 1\n",
	  "f:7:5: unknown key \"qeue_depth\" in a listener; did you mean \"queue_depth\"?" },
	{ "swapped letters", LISTENER "lgo: { level: info }\n",
	  "f:7:1: unknown key \"lgo\" at the top level; did you mean \"log\"?" },
	{ "key of another place", LISTENER "queue_depth: 1\n",
	  "f:7:1: unknown key \"queue_depth\" at the top level; it belongs in a listener" },
	{ "key of the top level", LISTENER "    pools: []\n",
	  "f:7:5: unknown key \"pools\" in a listener; it belongs at the top level" },
	{ "unknown key in health", POOLED "    health: { up: 1 }\n",
	  "f:6:15: unknown key \"up\" in health; the keys are interval, timeout, rise, fall" },
	{ "no listeners", "interface: eth0\n",
	  "f:1:1: listeners is missing at the top level; expected a list of maps, each with a name" },
	{ "empty listeners", "listeners: []\n", "f:1:12: listeners: 0 entries; expected 1 to 64" },
	{ "no name", "interface: eth0\nlisteners:\n  - listen: [\"192.0.2.1:80\"]\n"
		     "    transparent: true\n",
	  "f:3:5: name is missing in a listener; expected 1 to 31 of a to z, 0 to 9, _ and -" },
	{ "no listen", "interface: eth0\nlisteners:\n  - name: web\n    transparent: true\n",
	  "f:3:5: listen is missing in a listener; expected a list such as [\"192.0.2.1:443\", "
	  "\"[2001:db8::1]:443\"]" },
	{ "right", LISTENER "    \n", NULL },
	{ "pool without servers",
	  "interface: eth0\nlisteners: [{ name: web, listen: [\"192.0.2.1:80\"], upstreams: app "
	  "}]\npools:\n  - name: app\n",
	  "f:4:5: servers is missing in a pool; expected a list such as [\"192.0.2.1:443\", "
	  "\"[2001:db8::1]:443\"]" },
	/* ---- types ---- */
	{ "no value", LISTENER "user:\n", "f:7:6: user has no value; expected a text" },
	{ "null", LISTENER "    workers: null\n",
	  "f:7:14: workers has no value; expected a number of 1 to 64 threads" },
	{ "a text for a list", "interface: eth0\nlisteners:\n  - name: web\n    listen: "
			       "192.0.2.1:80\n    transparent: true\n",
	  "f:4:13: listen: a single value; expected a list such as [\"192.0.2.1:443\", "
	  "\"[2001:db8::1]:443\"]" },
	{ "a list for a number", LISTENER "    workers: [1]\n",
	  "f:7:14: workers: a list; expected a number of 1 to 64 threads" },
	{ "a map for a word", LISTENER "    mac: { a: b }\n",
	  "f:7:10: mac: a map; expected hmac-sha256 or siphash-2-4" },
	{ "a text for a map", LISTENER "log: debug\n",
	  "f:7:6: log: a single value; expected keys and values such as { level: info }" },
	{ "a map for listeners", "listeners: { name: web }\n",
	  "f:1:12: listeners: a map; expected a list of maps, each with a name" },
	{ "a text for a listener", "listeners:\n  - web\n",
	  "f:2:5: listeners: a single value; expected a listener such as \"- name: web\" and more "
	  "keys below" },
	{ "nothing for a listener", "listeners:\n  -\n",
	  "f:2:4: listeners: nothing; expected a listener such as \"- name: web\" and more keys "
	  "below" },
	{ "a list in a list", LISTENER "  - { name: b, transparent: true, listen: [[a]] }\n",
	  "f:7:44: listen: a list in the list; an IPv6 address needs quotes, "
	  "\"[2001:db8::1]:443\"" },
	{ "a null in a list", LISTENER "flood: { command: [~] }\n",
	  "f:7:20: command: an entry that is not a text; put it in quotes" },
	/* ---- values ---- */
	{ "not a number", LISTENER "    workers: two\n",
	  "f:7:14: workers: \"two\" is not a number; expected a number of 1 to 64 threads" },
	{ "negative", LISTENER "    workers: -1\n",
	  "f:7:14: workers: \"-1\" is not a number; expected a number of 1 to 64 threads" },
	{ "fraction", LISTENER "    workers: 1.5\n",
	  "f:7:14: workers: \"1.5\" is not a number; expected a number of 1 to 64 threads" },
	{ "unit on a count", LISTENER "    queue_depth: 4k\n",
	  "f:7:18: queue_depth: \"4k\" is not a number; expected a number of 1 to 1048576 "
	  "connections" },
	{ "newline in a number", LISTENER "    workers: \"1\\n2\"\n",
	  "f:7:14: workers: \"1?2\" is not a number; expected a number of 1 to 64 threads" },
	{ "below", LISTENER "    workers: 0\n",
	  "f:7:14: workers: \"0\" is out of range; expected a number of 1 to 64 threads" },
	{ "beyond", LISTENER "    workers: 65\n",
	  "f:7:14: workers: \"65\" is out of range; expected a number of 1 to 64 threads" },
	{ "beyond 64 bits", LISTENER "    workers: 99999999999999999999999\n",
	  "f:7:14: workers: \"99999999999999999999999\" is out of range; expected a number of 1 to "
	  "64 threads" },
	{ "small MSS", LISTENER "    mss_max: 87\n",
	  "f:7:14: mss_max: \"87\" is too small; expected 0, or 88 to 65495" },
	{ "large MSS", LISTENER "    mss_max: 65496\n",
	  "f:7:14: mss_max: \"65496\" is out of range; expected a number of 0 to 65495 bytes" },
	{ "time without a unit", LISTENER "drain_timeout: 30\n",
	  "f:7:16: drain_timeout: \"30\" is without a unit; expected a time of 0 to 24h, such as "
	  "500ms, 3s, 10m or 1h" },
	{ "time with another unit", LISTENER "drain_timeout: 1d\n",
	  "f:7:16: drain_timeout: \"1d\" is not a time; expected a time of 0 to 24h, such as 500ms, "
	  "3s, 10m or 1h" },
	{ "time beyond", LISTENER "drain_timeout: 25h\n",
	  "f:7:16: drain_timeout: \"25h\" is out of range; expected a time of 0 to 24h, such as "
	  "500ms, 3s, 10m or 1h" },
	{ "time of nothing", POOLED "    connect_timeout: 0\n",
	  "f:6:22: connect_timeout: \"0\" is out of range; expected a time of 1ms to 24h, such as "
	  "500ms, 3s, 10m or 1h" },
	{ "yes", LISTENER "    qdisc_bypass: yes\n",
	  "f:7:19: qdisc_bypass: \"yes\" is neither true nor false; did you mean true?" },
	{ "Off", LISTENER "    qdisc_bypass: Off\n",
	  "f:7:19: qdisc_bypass: \"Off\" is neither true nor false; did you mean false?" },
	{ "maybe", LISTENER "    qdisc_bypass: maybe\n",
	  "f:7:19: qdisc_bypass: \"maybe\" is neither; expected true or false" },
	{ "near word", LISTENER "    mac: hmac-sha-256\n",
	  "f:7:10: mac: \"hmac-sha-256\" is unknown; did you mean \"hmac-sha256\"?" },
	{ "capital word", LISTENER "log: { level: INFO }\n",
	  "f:7:15: level: \"INFO\" is unknown; did you mean \"info\"?" },
	{ "unknown word", LISTENER "    mac: md5\n",
	  "f:7:10: mac: \"md5\" is unknown; expected hmac-sha256 or siphash-2-4" },
	{ "unknown word of three", POOLED "    proxy_protocol: yes\n",
	  "f:6:21: proxy_protocol: \"yes\" is unknown; expected none, v1 or v2" },
	{ "capital name", "interface: eth0\nlisteners: [{ name: Web, listen: [\"192.0.2.1:80\"], "
			  "transparent: true }]\n",
	  "f:2:21: name: \"Web\" is not a name; expected 1 to 31 of a to z, 0 to 9, _ and -" },
	{ "long name",
	  "interface: eth0\nlisteners: [{ name: a2345678901234567890123456789012, listen: "
	  "[\"192.0.2.1:80\"], transparent: true }]\n",
	  "f:2:21: name: \"a2345678901234567890123456789012\" is too long; expected 1 to 31 of a to "
	  "z, 0 to 9, _ and -" },
	{ "empty name", "interface: eth0\nlisteners: [{ name: \"\", listen: [\"192.0.2.1:80\"], "
			"transparent: true }]\n",
	  "f:2:21: name: \"\" is empty; expected 1 to 31 of a to z, 0 to 9, _ and -" },
	{ "long interface", "interface: abcdefghijklmnop\n" "listeners: [{ name: web, listen: "
			    "[\"192.0.2.1:80\"], transparent: true }]\n",
	  "f:1:12: interface: \"abcdefghijklmnop\" is too long; expected the name of an interface, "
	  "such as eth0" },
	{ "interface with a slash", LISTENER "    interface: eth0/1\n",
	  "f:7:16: interface: \"eth0/1\" is not an interface; expected the name of an interface, such "
	  "as eth0" },
	{ "relative path", LISTENER "key_file: secret.key\n",
	  "f:7:11: key_file: \"secret.key\" is not a path from the root; expected a path that begins "
	  "with /" },
	{ "newline in a path", LISTENER "key_file: \"/a\\nb\"\n",
	  "f:7:11: key_file: a control character in the text; expected a path that begins with /" },
	{ "address without port", LISTENER "metrics: { address: \"127.0.0.1\" }\n",
	  "f:7:21: address: 127.0.0.1: column 10: no port; write 192.0.2.1:80" },
	{ "name for an address", LISTENER "metrics: { address: \"localhost:80\" }\n",
	  "f:7:21: address: localhost:80: column 1: names are not looked up; write an address such as "
	  "192.0.2.1:80" },
	{ "address of 256", POOLED "  - { name: b, servers: [\"10.0.0.256:80\"] }\n",
	  "f:6:26: servers: 10.0.0.256:80: column 8: not an IPv4 address; write four numbers of 0 to "
	  "255, 192.0.2.1:80" },
	{ "port 0", POOLED "  - { name: b, servers: [\"10.0.0.1:0\"] }\n",
	  "f:6:26: servers: 10.0.0.1:0: column 10: port out of range; a port is 1 to 65535" },
	{ "empty address", POOLED "  - { name: b, servers: [\"\"] }\n",
	  "f:6:26: servers: \"\" is empty; expected a list such as [\"192.0.2.1:443\", "
	  "\"[2001:db8::1]:443\"]" },
	/* ---- several values together ---- */
	{ "listener named twice",
	  LISTENER "  - { name: web, listen: [\"192.0.2.2:80\"], upstreams: app }\n",
	  "f:7:13: listener \"web\" is named twice, first on line 4; give each its own name" },
	{ "pool named twice", POOLED "  - { name: app, servers: [\"10.0.0.2:80\"] }\n",
	  "f:6:13: pool \"app\" is named twice, first on line 4; give each its own name" },
	{ "unknown pool, near", GOOD "    upstreams: ap\n",
	  "f:6:16: no pool is named \"ap\"; did you mean \"app\"?" },
	{ "unknown pool", GOOD "    upstreams: web\n",
	  "f:6:16: no pool is named \"web\"; the pools are app" },
	{ "no pools", "interface: eth0\nlisteners: [{ name: web, listen: [\"192.0.2.1:80\"], "
		      "upstreams: app }]\n",
	  "f:2:63: no pool is named \"app\"; add it under pools" },
	{ "transparent with upstreams", LISTENER "    transparent: true\n",
	  "f:6:16: listener \"web\" has upstreams and is transparent; keep one of the two" },
	{ "neither", GOOD,
	  "f:4:5: listener \"web\" has no upstreams and is not transparent; add \"upstreams: POOL\" "
	  "or \"transparent: true\"" },
	{ "no interface", "listeners:\n  - name: web\n    listen: [\"192.0.2.1:80\"]\n"
			  "    transparent: true\n",
	  "f:2:5: listener \"web\" has no interface; add \"interface: eth0\", here or for all" },
	{ "address twice in a listener",
	  "interface: eth0\nlisteners:\n  - name: web\n    listen: [\"192.0.2.1:80\", "
	  "\"192.0.2.1:80\"]\n    transparent: true\n",
	  "f:4:30: 192.0.2.1:80 is guarded already, by listener \"web\" on line 4; guard an address "
	  "and port once on an interface" },
	{ "address in two listeners",
	  LISTENER "  - { name: b, listen: [\"192.0.2.1:80\"], upstreams: app }\n",
	  "f:7:25: 192.0.2.1:80 is guarded already, by listener \"web\" on line 5; guard an address "
	  "and port once on an interface" },
	{ "every address beside one of them",
	  LISTENER "  - { name: b, listen: [\"0.0.0.0:80\"], upstreams: app }\n",
	  "f:7:25: 0.0.0.0:80 is guarded already, by listener \"web\" on line 5; guard an address "
	  "and port once on an interface" },
	{ "the same IPv6 address in two forms",
	  "interface: eth0\nlisteners:\n  - name: a\n    listen: [\"[2001:db8::1]:80\", "
	  "\"[2001:db8:0::1]:80\"]\n    transparent: true\n",
	  "f:4:34: [2001:db8:0::1]:80 is guarded already, by listener \"a\" on line 4; guard an "
	  "address and port once on an interface" },
	{ "server twice", POOLED "  - { name: b, servers: [\"10.0.0.1:80\", \"10.0.0.1:80\"] }\n",
	  "f:6:41: server 10.0.0.1:80 is in pool \"b\" twice, first on line 6; keep one" },
	{ "server is what its listener guards",
	  "interface: eth0\n"
	  "listeners: [{ name: web, listen: [\"192.0.2.2:81\", \"192.0.2.1:80\"], upstreams: app }]\n"
	  "pools: [{ name: app, servers: [\"10.0.0.1:80\", \"192.0.2.1:80\"] }]\n",
	  "f:3:47: server 192.0.2.1:80 is guarded by listener \"web\"; let the service listen "
	  "elsewhere, such as 127.0.0.1:8080" },
	{ "server is what its listener guards, IPv6 in two forms",
	  "interface: lo\n"
	  "listeners: [{ name: web, listen: [\"[2001:db8::1]:80\"], upstreams: app }]\n"
	  "pools: [{ name: app, servers: [\"[2001:db8:0::1]:80\"] }]\n",
	  "f:3:32: server [2001:db8:0::1]:80 is guarded by listener \"web\"; let the service listen "
	  "elsewhere, such as [::1]:8080" },
	{ "loopback server under a listener of every address",
	  "interface: lo\n"
	  "listeners: [{ name: web, listen: [\"0.0.0.0:80\"], upstreams: app }]\n"
	  "pools: [{ name: app, servers: [\"127.0.0.1:80\"] }]\n",
	  "f:3:32: server 127.0.0.1:80 is guarded by listener \"web\"; let the service listen "
	  "elsewhere, such as 127.0.0.1:8080" },
	{ "loopback server under a listener of every address of another interface",
	  "interface: eth0\n"
	  "listeners: [{ name: web, listen: [\"0.0.0.0:80\"], upstreams: app }]\n"
	  "pools: [{ name: app, servers: [\"127.0.0.1:80\"] }]\n", NULL },
	{ "server of every address",
	  "interface: lo\n"
	  "listeners: [{ name: web, listen: [\"192.0.2.1:80\"], upstreams: app }]\n"
	  "pools: [{ name: app, servers: [\"0.0.0.0:80\"] }]\n",
	  "f:3:32: server 0.0.0.0:80 is guarded by listener \"web\"; let the service listen "
	  "elsewhere, such as 127.0.0.1:8080" },
	{ "server of another host under a listener of every address",
	  "interface: eth0\n"
	  "listeners: [{ name: web, listen: [\"0.0.0.0:80\"], upstreams: app }]\n"
	  "pools: [{ name: app, servers: [\"10.0.0.1:80\"] }]\n", NULL },
	{ "server guarded by a listener of another pool",
	  "interface: eth0\n"
	  "listeners:\n"
	  "  - { name: web, listen: [\"192.0.2.1:80\"], upstreams: app }\n"
	  "  - { name: two, listen: [\"192.0.2.1:81\"], upstreams: back }\n"
	  "pools:\n"
	  "  - { name: app, servers: [\"10.0.0.1:80\"] }\n"
	  "  - { name: back, servers: [\"192.0.2.1:80\"] }\n", NULL },
	{ "another port of the guarded address",
	  "interface: eth0\n"
	  "listeners: [{ name: web, listen: [\"192.0.2.1:80\"], upstreams: app }]\n"
	  "pools: [{ name: app, servers: [\"192.0.2.1:8080\", \"127.0.0.1:80\"] }]\n", NULL },
	{ "metrics on a guarded address", LISTENER "metrics: { address: \"192.0.2.1:80\" }\n",
	  "f:7:21: metrics.address 192.0.2.1:80 is guarded by listener \"web\"; take another address or "
	  "port" },
	{ "metrics on every address", LISTENER "metrics: { address: \"0.0.0.0:80\" }\n",
	  "f:7:21: metrics.address 0.0.0.0:80 is guarded by listener \"web\"; take another address or "
	  "port" },
	{ "metrics under a listener of every address",
	  LISTENER "  - { name: six, listen: [\"[::]:9177\"], upstreams: app }\n"
		   "metrics: { address: \"[::1]:9177\" }\n",
	  "f:8:21: metrics.address [::1]:9177 is guarded by listener \"six\"; take another address or "
	  "port" },
	{ "metrics on loopback", LISTENER "metrics: { address: \"127.0.0.1:80\" }\n", NULL },
	{ "leave not below enter", LISTENER "flood: { enter: 10, leave: 10 }\n",
	  "f:7:28: leave: 10 is not below enter, which is 10; expected less" },
	{ "enter below the default of leave", LISTENER "flood: { enter: 400 }\n",
	  "f:7:8: leave: 500 is not below enter, which is 400; expected less" },
	{ "command by name", LISTENER "flood: { command: [logger] }\n",
	  "f:7:20: command: \"logger\" is not a path from the root; no shell looks it up, write "
	  "/usr/bin/logger" },
	{ "several at once",
	  "interfac: eth0\nlisteners:\n  - name: web\n    workers: 0\n    listen: [\"x\"]\n"
	  "    upstreams: app\n    interface: e\n",
	  "f:1:1: unknown key \"interfac\" at the top level; did you mean \"interface\"?\n"
	  "f:4:14: workers: \"0\" is out of range; expected a number of 1 to 64 threads\n"
	  "f:5:14: listen: x: column 1: names are not looked up; write an address such as "
	  "192.0.2.1:80\n"
	  "f:6:16: no pool is named \"app\"; add it under pools" },
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

static void join(const struct sw_mistakes *m, char *out, size_t size)
{
	char line[SW_MISTAKE_LEN + 40];
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < m->n && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", i ? "\n" : "",
				       sw_mistake_str(m, i, line, sizeof(line)));
}

static int parse(const char *text, struct sw_settings **out, char *all, size_t size)
{
	static const struct sw_settings_look look;
	struct sw_mistakes m = { .path = "f" };
	const int rc = sw_settings_parse(text, strlen(text), &look, out, &m);

	join(&m, all, size);
	sw_mistakes_free(&m);
	return rc;
}

Test(settings, mistakes_and_their_words)
{
	size_t wrong = 0;

	for (size_t i = 0; i < NROWS; i++) {
		struct sw_settings *s = NULL;
		char all[4096];
		const int rc = parse(rows[i].text, &s, all, sizeof(all));

		if (rows[i].want) {
			wrong++;
			cr_expect_eq(rc, -EINVAL, "%s: rc %d", rows[i].name, rc);
			cr_expect_str_eq(all, rows[i].want, "%s:\n got %s\nwant %s", rows[i].name,
					 all, rows[i].want);
		} else {
			cr_expect_eq(rc, 0, "%s: %s", rows[i].name, all);
			sw_settings_free(s);
		}
	}
	cr_expect_geq(wrong, 50, "only %zu kinds of mistakes", wrong);
}

/* More than the message's list of rows shows: bounds. */
Test(settings, too_many)
{
	char *text = NULL, all[16384];
	size_t len;
	struct sw_settings *s;
	FILE *f = open_memstream(&text, &len);

	fprintf(f, "interface: eth0\npools: [{ name: app, servers: [\"10.0.0.1:80\"] }]\nlisteners:\n");
	for (int i = 0; i < SW_MAX_LISTENERS + 1; i++)
		fprintf(f, "  - { name: l%d, listen: [\"192.0.2.1:%d\"], upstreams: app }\n", i,
			1000 + i);
	fclose(f);
	cr_expect_eq(parse(text, &s, all, sizeof(all)), -EINVAL);
	cr_expect_str_eq(all, "f:4:3: listeners: 65 entries; expected 1 to 64", "%s", all);
	free(text);

	f = open_memstream(&text, &len);
	fprintf(f, "interface: eth0\nlisteners:\n");
	for (int i = 0; i < 17; i++)
		fprintf(f, "  - { name: l%d, listen: [\"192.0.2.1:%d\"], transparent: true }\n", i,
			1000 + i);
	fclose(f);
	cr_expect_eq(parse(text, &s, all, sizeof(all)), -EINVAL);
	cr_expect_str_eq(all,
			 "f:19:5: listener \"l16\" is one too many with XDP on eth0; at most 16 share "
			 "an interface, put more addresses into one listener",
			 "%s", all);
	free(text);

	/* Every mistake is counted, but only so many are kept. */
	f = open_memstream(&text, &len);
	for (int i = 0; i < 150; i++)
		fprintf(f, "nonsense%d: 1\n", i);
	fclose(f);
	{
		static const struct sw_settings_look look;
		struct sw_mistakes m = { .path = "f" };

		cr_expect_eq(sw_settings_parse(text, len, &look, &s, &m), -EINVAL);
		cr_expect_eq(m.n, (size_t)SW_MISTAKES_MAX, "%zu", m.n);
		cr_expect_eq(m.n + m.more, 151u, "%zu", m.n + m.more);
		sw_mistakes_free(&m);
	}
	free(text);
}

Test(settings, defaults)
{
	struct sw_settings *s = NULL;
	char all[1000];

	cr_assert_eq(parse(LISTENER, &s, all, sizeof(all)), 0, "%s", all);
	cr_expect_eq(s->nlisteners, 1u);
	cr_expect_str_eq(s->listeners[0].name, "web");
	cr_expect_str_eq(s->listeners[0].interface, "eth0", "the interface for all");
	cr_expect_eq(s->listeners[0].nlisten, 1u);
	cr_expect_str_eq(s->listeners[0].listen[0], "192.0.2.1:80");
	cr_expect_eq(s->listeners[0].mac, SYNWARD_MAC_HMAC_SHA256);
	cr_expect_eq(s->listeners[0].offload, SYNWARD_OFFLOAD_NONE);
	cr_expect_eq(s->listeners[0].queue_depth, 4096u);
	cr_expect_eq(s->listeners[0].refuse_rate, 1000u);
	cr_expect_not(s->listeners[0].transparent);
	cr_expect_str_eq(s->listeners[0].upstreams, "app");
	cr_expect_eq(s->npools, 1u);
	cr_expect_eq(s->pools[0].connect_timeout, 3000u);
	cr_expect_eq(s->pools[0].idle_timeout, 3600000u);
	cr_expect_eq(s->pools[0].health.interval, 0u);
	cr_expect_eq(s->pools[0].health.timeout, 1000u);
	cr_expect_eq(s->drain_timeout, 30000u);
	cr_expect_eq(s->limits.source_prefix6, 64u);
	cr_expect_eq(s->log.level, SW_SET_LOG_INFO);
	cr_expect_str_eq(s->control.socket, "/run/synward/control.sock");
	cr_expect_str_eq(s->metrics.address, "");
	cr_expect_eq(s->flood.hold, 10000u);
	cr_expect_eq(s->flood.ncommand, 0u);
	cr_expect_str_eq(s->user, "");
	sw_settings_free(s);
}

Test(settings, values_are_taken)
{
	static const char text[] =
		"\xef\xbb\xbfuser: nobody\nkey_file: \"/k\"\ndrain_timeout: 500ms\n"
		"log: { level: debug, format: json, access: true }\n"
		"control: { socket: \"\" }\nmetrics: { address: \"[::1]:9177\" }\n"
		"flood: { enter: 0, leave: 0, hold: 1m, command: [/usr/lib/a/long/path/of/more/than/16, \"a b\", \"\"] }\n"
		"limits: { connections: 7, per_source: 6, source_prefix4: 24, source_prefix6: 48 }\n"
		"listeners:\n- name: a\n  interface: lo\n  listen: ['[::]:443']\n"
		"  mac: siphash-2-4\n  mss_max: 1200\n  offload: xdp\n  transparent: true\n"
		"  workers: 2\n  queue_depth: 0010\n  ring_frames: \"64\"\n  refuse_rate: 0\n"
		"  qdisc_bypass: true\n"
		"pools:\n- name: p\n  servers: [ 10.0.0.1:1, \"[::1]:2\" ]\n  proxy_protocol: v2\n"
		"  source: client\n  connect_timeout: 1m\n  idle_timeout: 0\n  retries: 0\n"
		"  health: { interval: 2s, timeout: 1500ms, rise: 4, fall: 5 }\n";
	struct sw_settings *s = NULL;
	char all[1000];

	cr_assert_eq(parse(text, &s, all, sizeof(all)), 0, "%s", all);
	cr_expect_str_eq(s->user, "nobody");
	cr_expect_eq(s->drain_timeout, 500u);
	cr_expect_eq(s->log.format, SW_SET_LOG_JSON);
	cr_expect(s->log.access);
	cr_expect_str_eq(s->control.socket, "");
	cr_expect_eq(s->flood.ncommand, 3u);
	cr_expect_str_eq(s->flood.command[1], "a b");
	cr_expect_str_eq(s->flood.command[2], "");
	cr_expect_eq(s->flood.enter, 0u);
	cr_expect_eq(s->limits.source_prefix4, 24u);
	cr_expect_eq(s->listeners[0].mac, SYNWARD_MAC_SIPHASH_2_4);
	cr_expect_eq(s->listeners[0].offload, SYNWARD_OFFLOAD_XDP);
	cr_expect(s->listeners[0].transparent && s->listeners[0].qdisc_bypass);
	cr_expect_eq(s->listeners[0].queue_depth, 10u);
	cr_expect_eq(s->listeners[0].ring_frames, 64u);
	cr_expect_eq(s->listeners[0].refuse_rate, 0u);
	cr_expect_eq(s->pools[0].nservers, 2u);
	cr_expect_eq(s->pools[0].source, SW_SET_SOURCE_CLIENT);
	cr_expect_eq(s->pools[0].idle_timeout, 0u);
	cr_expect_eq(s->pools[0].retries, 0u);
	cr_expect_eq(s->pools[0].health.timeout, 1500u);
	sw_settings_free(s);
}

/* The key file is read with the rest, and its mistakes are told at the key. */
Test(settings, key_file)
{
	const struct sw_settings_look look = { .key_file = true };
	char path[] = "/tmp/synward-test-key-XXXXXX", text[400], want[400], all[1000];
	const int fd = mkstemp(path);
	struct sw_mistakes m = { .path = "f" };
	struct sw_settings *s = NULL;

	cr_assert_geq(fd, 0, "mkstemp: %s", strerror(errno));
	snprintf(text, sizeof(text), LISTENER "key_file: %s\n", path);
	fchmod(fd, 0644);
	cr_expect_eq(sw_settings_parse(text, strlen(text), &look, &s, &m), -EINVAL);
	join(&m, all, sizeof(all));
	snprintf(want, sizeof(want),
		 "f:7:11: key_file: %s: mode 0644 lets others use the key; run: chmod 0600 %s", path,
		 path);
	cr_expect_str_eq(all, want, "got %s\nwant %s", all, want);
	sw_mistakes_free(&m);

	fchmod(fd, 0600);
	cr_expect_eq(sw_settings_parse(text, strlen(text), &look, &s, &m), -EINVAL);
	join(&m, all, sizeof(all));
	snprintf(want, sizeof(want), "f:7:11: key_file: %s:1:1: no active key; one line must be active",
		 path);
	cr_expect_str_eq(all, want, "got %s\nwant %s", all, want);
	sw_mistakes_free(&m);

	unlink(path);
	cr_expect_eq(sw_settings_parse(text, strlen(text), &look, &s, &m), -EINVAL);
	join(&m, all, sizeof(all));
	snprintf(want, sizeof(want),
		 "f:7:11: key_file: %s: No such file or directory; make one with: (umask 077; synward "
		 "secret new > FILE)",
		 path);
	cr_expect_str_eq(all, want, "got %s\nwant %s", all, want);
	sw_mistakes_free(&m);
	close(fd);
}

Test(settings, files)
{
	const struct sw_settings_look look = { 0 };
	static const struct {
		const char *path, *want;
	} bad[] = {
		{ "/dev/null/f", "/dev/null/f: cannot be opened: Not a directory; give the path of a "
				 "configuration file" },
		{ "/tmp", "/tmp: not a regular file; give the path of a configuration file" },
		{ "/dev/zero", "/dev/zero: not a regular file; give the path of a configuration file" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sw_mistakes m = { .path = bad[i].path };
		struct sw_settings *s;
		char all[400];

		cr_expect_lt(sw_settings_load(&look, &s, &m), 0);
		join(&m, all, sizeof(all));
		cr_expect_str_eq(all, bad[i].want, "got %s", all);
		sw_mistakes_free(&m);
	}
}

Test(settings, a_large_text_is_refused)
{
	const size_t len = 300 * 1024;
	char *text = malloc(len), all[400];
	struct sw_mistakes m = { .path = "f" };
	const struct sw_settings_look look = { 0 };
	struct sw_settings *s;

	memset(text, '#', len);
	cr_expect_eq(sw_settings_parse(text, len, &look, &s, &m), -EINVAL);
	join(&m, all, sizeof(all));
	cr_expect_str_eq(all, "f: larger than 256 KiB; a configuration is smaller", "%s", all);
	sw_mistakes_free(&m);
	free(text);
}

/* Cut anywhere, a text is refused or understood, never read beyond its end. */
Test(settings, every_prefix)
{
	static const char text[] = LISTENER "log: { level: debug }\nflood: { command: [\"/a\"] }\n";
	const struct sw_settings_look look = { 0 };

	for (size_t n = 0; n < sizeof(text); n++) {
		char *tight = malloc(n ? n : 1);
		struct sw_mistakes m = { .path = "f" };
		struct sw_settings *s = NULL;
		int rc;

		memcpy(tight, text, n);
		rc = sw_settings_parse(tight, n, &look, &s, &m);
		cr_expect((rc == 0) == (m.n == 0), "cut at %zu: rc %d, %zu mistakes", n, rc, m.n);
		if (rc == 0)
			sw_settings_free(s);
		sw_mistakes_free(&m);
		free(tight);
	}
}
