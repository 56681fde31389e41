// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/checkdigit/checkdigittest"
	"github.com/millrace/millrace/testbed/disksearch"
	"github.com/millrace/millrace/testbed/lag"
)

// people makes up personal data, each value once, and remembers it.
type people struct {
	rng     *rand.Rand
	needles map[string]string // value to what it is and where it was put
}

func newPeople(seed uint64) *people {
	return &people{rng: rand.New(rand.NewPCG(seed, 5)), needles: map[string]string{}}
}

// classes are what is found by value, with texts as people write them around it.
var classes = map[string]func(p *people) (text, value string){
	"email": func(p *people) (string, string) {
		v := fmt.Sprintf("zq%08x@mail-%06x.example.com", p.rng.Uint32(), p.rng.Uint32N(1<<24))
		return "Please answer to " + v + ", thanks!", v
	},
	"phone": func(p *people) (string, string) {
		v := fmt.Sprintf("+49 1512 %07d", p.rng.Uint32N(9_000_000)+1_000_000)
		return "ruf mich an: " + v + " nach 18 Uhr", v
	},
	"card": func(p *people) (string, string) {
		for {
			if v := checkdigittest.PaymentCard(p.rng); len(v) == 16 {
				v = v[:4] + " " + v[4:8] + " " + v[8:12] + " " + v[12:]
				return "charge it to " + v + " as last time", v
			}
		}
	},
	"iban": func(p *people) (string, string) {
		v := checkdigittest.Generators()["iban"](p.rng)
		return "Rückzahlung bitte an " + v, v
	},
	"national_id": func(p *people) (string, string) {
		v := checkdigittest.PunctuatedGenerators()["national_id_br_cpf"](p.rng)
		return "meu CPF é " + v + ", obrigado", v
	},
	"ip": func(p *people) (string, string) {
		v := fmt.Sprintf("2001:db8:%x:%x:%x:%x:%x:%x", p.hex4(), p.hex4(), p.hex4(), p.hex4(), p.hex4(), p.hex4())
		return "request from " + v + " denied", v
	},
	"mac": func(p *people) (string, string) {
		v := fmt.Sprintf("3c:22:fb:%02x:%02x:%02x", p.rng.Uint32N(256), p.rng.Uint32N(256), p.rng.Uint32N(256))
		return "device " + v + " joined", v
	},
	"jwt": func(p *people) (string, string) {
		part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
		v := part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(fmt.Sprintf(`{"sub":"%016x"}`, p.rng.Uint64())) + "." + part(fmt.Sprintf("%032x", p.rng.Uint64()))
		return "token " + v + " expired", v
	},
	"api_key": func(p *people) (string, string) {
		v := fmt.Sprintf("ghp_%016x%016xAbCd", p.rng.Uint64(), p.rng.Uint64())
		return "it still says " + v + " in the config", v
	},
	"password": func(p *people) (string, string) {
		v := fmt.Sprintf("hunter%08x", p.rng.Uint32())
		return "see ftp://deploy:" + v + "@files.example.com/drop", v
	},
	"coordinates": func(p *people) (string, string) {
		v := fmt.Sprintf("48.%06d, 2.%06d", 100_000+p.rng.Uint32N(900_000), 100_000+p.rng.Uint32N(900_000))
		return "meet me at " + v + " tonight", v
	},
	"birth_date": func(p *people) (string, string) {
		v := fmt.Sprintf("%02d.%02d.%d", 2+p.rng.IntN(27), 2+p.rng.IntN(11), 1940+p.rng.IntN(60))
		return "Ich bin geboren am " + v + " in Ulm", v
	},
	"wallet": func(p *people) (string, string) {
		v := checkdigittest.Generators()["wallet_bitcoin"](p.rng)
		return "send it to " + v, v
	},
}

func (p *people) hex4() uint32 { return 0x1000 + p.rng.Uint32N(0xf000) }

// say returns a text with a new value of the class.
func (p *people) say(class, where string) string {
	for {
		text, v := classes[class](p)
		if _, taken := p.needles[v]; !taken {
			p.needles[v] = class + " in " + where
			return text
		}
	}
}

// named is a value that only its key or its schema tells: no detector can.
func (p *people) named(where string) string {
	v := fmt.Sprintf("Zq%08x Person", p.rng.Uint32())
	p.needles[v] = "named by " + where
	return v
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

// seats are where a sender can put a text, each in an event of its own.
var seats = map[string]func(lr plog.LogRecord, text func() string){
	"property": func(lr plog.LogRecord, text func() string) { lr.Attributes().PutStr("comment", text()) },
	"nested value": func(lr plog.LogRecord, text func() string) {
		lr.Attributes().PutEmptyMap("a").PutEmptySlice("b").AppendEmpty().SetEmptyMap().PutStr("c", text())
	},
	"body":        func(lr plog.LogRecord, text func() string) { lr.Body().SetStr(text()) },
	"nested body": func(lr plog.LogRecord, text func() string) { lr.Body().SetEmptyMap().PutStr("x", text()) },
	"bytes": func(lr plog.LogRecord, text func() string) {
		lr.Attributes().PutEmptyBytes("raw").FromRaw([]byte(text()))
	},
	"severity": func(lr plog.LogRecord, text func() string) { lr.SetSeverityText(text()) },
	"JSON in a text": func(lr plog.LogRecord, text func() string) {
		lr.Attributes().PutStr("payload", `{"list":[{"x":`+quoted(text())+`}],"inner":`+quoted(`{"y":`+quoted(text())+`}`)+`}`)
	},
	"cut-off JSON": func(lr plog.LogRecord, text func() string) {
		lr.Attributes().PutStr("payload", `{"n":1,"text":"`+text())
	},
	"escaped JSON": func(lr plog.LogRecord, text func() string) {
		lr.Attributes().PutStr("payload", `{"text":`+strings.NewReplacer("@", `\u0040`, "+", `\u002b`, ":", `\u003a`).Replace(quoted(text()))+`}`)
	},
	"query": func(lr plog.LogRecord, text func() string) {
		lr.Attributes().PutStr("page_url", "https://shop.example/find?n=1&q="+url.QueryEscape(text())+"#top")
	},
	"context": func(lr plog.LogRecord, text func() string) {
		lr.Attributes().PutEmptyMap("segment.context").PutStr("note", text())
	},
	"failed event": func(lr plog.LogRecord, text func() string) {
		lr.Attributes().PutStr("country", "a long way off") // no country's code
		lr.Attributes().PutStr("comment", text())
		lr.Attributes().PutEmptyMap("m").PutStr("deep", text())
	},
	"event that no schema knows": func(lr plog.LogRecord, text func() string) {
		lr.SetEventName("something_else")
		lr.Attributes().PutStr("what", text())
	},
	"a mark of failure of the sender's own": func(lr plog.LogRecord, text func() string) {
		lr.Attributes().PutStr("event.failure.stage", "receive")
		lr.Attributes().PutStr("event.failure.reason", text())
		lr.Attributes().PutStr("event.failure.pointer", text())
	},
	"schema":     func(lr plog.LogRecord, text func() string) { lr.Attributes().PutStr("event.schema", text()) },
	"session ID": func(lr plog.LogRecord, text func() string) { lr.Attributes().PutStr("session.id", text()) },
	"event name": func(lr plog.LogRecord, text func() string) { lr.SetEventName("about " + text()) },
	"older name": func(lr plog.LogRecord, text func() string) { lr.Attributes().PutStr("event.name", text()) },
	"key":        func(lr plog.LogRecord, text func() string) { lr.Attributes().PutStr(text(), "x") },
	"nested key": func(lr plog.LogRecord, text func() string) { lr.Attributes().PutEmptyMap("by").PutInt(text(), 1) },
}

// seed sends personal data of every class in every place, by each way in.
func (p *people) seed(t *testing.T, i *instance, run string) {
	t.Helper()
	n := 0
	for _, class := range sortedKeys(classes) {
		ld, records := events()
		rl := ld.ResourceLogs().At(0)
		rl.SetSchemaUrl("https://x.example/?" + url.QueryEscape(p.say(class, "a schema's URL")))
		rl.Resource().Attributes().PutStr("deployment.note", p.say(class, "resource"))
		scope := rl.ScopeLogs().At(0).Scope()
		scope.SetName(p.say(class, "scope's name"))
		scope.SetVersion(p.say(class, "scope's version"))
		scope.Attributes().PutStr("note", p.say(class, "scope"))
		for _, place := range sortedKeys(seats) {
			n++
			lr := addValid(records, fmt.Sprintf("%s-%d", run, n))
			seats[place](lr, func() string { return p.say(class, place) })
		}
		lr := addValid(records, p.say(class, "event ID"))
		lr.Attributes().PutStr("user.id", p.say(class, "user ID"))
		lr.Attributes().PutStr("enduser.pseudo.id", p.say(class, "anonymous ID"))
		if n%2 == 0 {
			require.NoError(t, sendGRPC(i, ld))
		} else {
			status, answer := post(t, i.url("MILLRACE_OTLP_HTTP", "/v1/logs"), protobuf(t, ld), "Content-Type", "application/x-protobuf")
			require.Equal(t, 200, status, answer)
		}
		messages := fmt.Sprintf(`{"type":"track","event":"Product Reviewed","messageId":"%s-s%d","userId":"u1","properties":{"rating":5,"text":%s},"context":{"page":{"title":%s}}},
			{"type":"identify","messageId":"%s-i%d","userId":%s,"traits":{"note":%s}},
			{"type":"track","event":7,"messageId":"%s-b%d","userId":"u1","properties":{"x":%s}}`,
			run, n, quoted(p.say(class, "Segment's properties")), quoted(p.say(class, "Segment's context")),
			run, n, quoted(p.say(class, "Segment's user")), quoted(p.say(class, "Segment's traits")),
			run, n, quoted(p.say(class, "a message that cannot be read")))
		p.segment(t, i, messages)
	}
	// What no detector can find: by schema, valid and not, and by name.
	ld, records := events()
	for k, country := range []string{"DE", "a long way off"} {
		lr := addValid(records, fmt.Sprintf("%s-named-%d", run, k))
		a := lr.Attributes()
		a.PutStr("country", country)
		a.PutStr("full_name", p.named("schema"))
		a.PutStr("phone", p.named("schema, though it is no phone"))
		a.PutStr("lastName", p.named("key"))
		a.PutEmptyMap("customer").PutStr("first-name", p.named("nested key"))
		a.PutEmptyMap("shippingAddress").PutEmptyMap("line").PutStr("one", p.named("key of an object"))
		a.PutStr("form", `{"cardholder_name":`+quoted(p.named("key in JSON"))+`}`)
		a.PutStr("link", "/x?password="+url.QueryEscape(p.named("query"))+"&y=1")
	}
	require.NoError(t, sendGRPC(i, ld))
	p.segment(t, i, fmt.Sprintf(`{"type":"identify","messageId":"%s-named","userId":"u1","traits":{"firstName":%s,"address":{"street":%s,"city":"Ulm"}}}`,
		run, quoted(p.named("Segment's trait")), quoted(p.named("Segment's address"))))
}

func (p *people) segment(t *testing.T, i *instance, messages string) {
	t.Helper()
	key := base64.StdEncoding.EncodeToString([]byte("millrace-dev:"))
	status, answer := post(t, i.url("MILLRACE_SEGMENT", "/v1/batch"), []byte(`{"batch":[`+messages+`]}`), "Content-Type", "application/json", "Authorization", "Basic "+key)
	require.Equal(t, 200, status, answer)
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// search looks for all values in what an instance has written: its data directory, and what the process said.
func (p *people) search(t *testing.T, i *instance) *disksearch.Finds {
	t.Helper()
	finds, err := disksearch.Search(filepath.Dir(i.data), sortedKeys(p.needles))
	require.NoError(t, err)
	require.Greater(t, finds.Files, int64(50))
	return finds
}

// tables writes what ClickHouse has as text beside the data directory: compression hides a part of a value where another value began alike.
func (p *people) tables(t *testing.T, i *instance) {
	t.Helper()
	for _, table := range []string{"events", "failed_events"} {
		rows := i.rows(t, "SELECT formatRow('JSONEachRow', *) FROM %s", table)
		require.NotEmpty(t, rows)
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(i.data), table+".rows"), []byte(strings.Join(rows, "\n")), 0o600))
	}
}

// readable keeps the log's segments as they are.
const readable = overlay("connectors::event_log::compression: none")

// Personal data of every class is put wherever a sender can put a text, and then looked for in every byte that was written. The same
// is sent to a collector that only counts, so that it is known what the search finds where.
func TestNoPersonalDataTouchesTheDisk(t *testing.T) {
	t.Parallel()
	t.Run("masked", func(t *testing.T) {
		t.Parallel()
		i := startLake(t, "1s", readable)
		p := newPeople(1)
		p.seed(t, i, "first")
		i.awaitFiles(t, i.lake())
		i.end(t, syscall.SIGKILL) // what a crash leaves is looked at too
		i.env[lakeMaxAge] = "1h"
		i.start(t)
		p.seed(t, i, "second") // stays staged
		i.awaitDelivered(t)
		p.tables(t, i)
		running := p.search(t, i)
		i.end(t, syscall.SIGTERM)
		for when, finds := range map[string]*disksearch.Finds{"running": running, "stopped": p.search(t, i)} {
			for _, needle := range sortedKeys(finds.In) {
				assert.Fail(t, "personal data was written", "%s: %q, %s, in %v", when, needle, p.needles[needle], finds.In[needle])
			}
		}
		t.Logf("looked for %d values in %d bytes of %d files", len(p.needles), running.Bytes, running.Files)
	})
	t.Run("found where nothing is masked", func(t *testing.T) {
		t.Parallel()
		i := startLake(t, "1s", readable, "processors::pii_masking::dry_run: true")
		p := newPeople(1)
		p.seed(t, i, "first")
		i.awaitFiles(t, i.lake())
		i.end(t, syscall.SIGTERM)
		i.env[lakeMaxAge] = "1h"
		i.start(t)
		p.seed(t, i, "second")
		i.awaitDelivered(t)
		staged, err := lag.Staged(t.Context(), i.url("MILLRACE_METRICS", ""))
		require.NoError(t, err)
		require.NotZero(t, staged)
		p.tables(t, i)
		i.end(t, syscall.SIGTERM)
		finds := p.search(t, i)
		all := len(p.needles)
		for place, least := range map[string]int{
			"data/log/segments": all * 9 / 10, "events.rows": all / 2, "failed_events.rows": all / 20, "data/lake": all * 4 / 10,
			"data/clickhouse/server": all / 5, "data/staging": all / 10, // what compression leaves in one piece
		} {
			n := finds.Needles(filepath.FromSlash(place))
			t.Logf("found in %s: %d of %d", place, n, all)
			assert.GreaterOrEqual(t, n, least, place)
		}
	})
}

// What is masked is still of use: an address is the same text wherever it came from, and is no address of anybody's.
func TestMaskedAddressesStillJoin(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.start(t)
	t.Cleanup(func() { i.stop(t) })
	ld, records := events()
	for k := range 3 {
		addValid(records, fmt.Sprint("join-", k)).Attributes().PutStr("email", "Ann.Lee@Example.com")
	}
	addValid(records, "join-other").Attributes().PutStr("email", "bob@example.com")
	lr := addValid(records, "join-text")
	lr.Attributes().PutStr("email", "bob@example.com")
	lr.Attributes().PutStr("comment", "from ann.lee@example.com, call +49 1512 3456789")
	require.NoError(t, sendGRPC(i, ld))
	newPeople(1).segment(t, i, `{"type":"track","event":"Signed Up","messageId":"join-segment","userId":"u1","properties":{"signup_method":"email","email":"ANN.LEE@example.com","device_type":"mobile","country":"DE"}}`)
	i.awaitDelivered(t)
	require.Equal(t, "4", i.one(t, `SELECT count() FROM events WHERE email = (SELECT email FROM events WHERE event_id = 'join-0')`))
	require.Equal(t, "1", i.one(t, `SELECT match(email, '^pn_k1_[a-z2-7]{26}@pseudonym\.invalid$') FROM events WHERE event_id = 'join-0'`))
	require.Equal(t, "1", i.one(t, `SELECT comment LIKE concat('from ', (SELECT email FROM events WHERE event_id = 'join-0'), ', call pn\_k1\_%%')
		FROM (SELECT toString(properties.comment) AS comment FROM events WHERE event_id = 'join-text')`))
	metrics := i.metric(t, "otelcol_processor_pii_masking_values")
	require.Positive(t, metrics)
	i.end(t, syscall.SIGTERM)
	files, err := filepath.Glob(filepath.Join(i.data, "audit", "*.jsonl"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	record := ""
	for _, file := range files { // one a day
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		record += string(text)
	}
	require.Contains(t, record, `"class":"email","field":"email","rule":"schema","masking":"pseudonym"`)
	require.NotContains(t, record, "@")
}
