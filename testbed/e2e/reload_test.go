// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

const coupon = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema",
	"type": "object",
	"required": ["coupon", "coupon_discount"],
	"properties": {
		"coupon": {"type": "string"},
		"coupon_discount": {"type": "number", "minimum": 0, "x-column": "Decimal(18, 2)"}
	}
}`

// putSchema puts a schema into place as careful people do: under another name first.
func putSchema(t *testing.T, i *instance, name, text string) {
	t.Helper()
	path := filepath.Join(i.schema, name)
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

// lines counts the lines of the collector's log with the text.
func (p *process) lines(text string) (n int) {
	for line := range strings.SplitSeq(p.said(), "\n") {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func reload(t *testing.T, i *instance) {
	// Valid events of another name come all the while. None of them may notice.
	var sent atomic.Int64
	stop, stopped := make(chan struct{}), make(chan error, 1)
	end := sync.OnceFunc(func() { close(stop) })
	defer end()
	neighbour := newID("neighbour")
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			ld, records := events()
			addValid(records, fmt.Sprintf("%s/%d", neighbour, sent.Load()))
			if err := sendGRPC(i, ld); err != nil {
				stopped <- err
				return
			}
			sent.Add(1)
		}
	}()

	used := func(discount any) (id string) {
		t.Helper()
		ld, records := events()
		id = newID("coupon")
		lr := addValid(records, id)
		lr.SetEventName("coupon_used")
		lr.Attributes().PutStr("coupon", "WELCOME10")
		require.NoError(t, lr.Attributes().PutEmpty("coupon_discount").FromRaw(discount))
		require.NoError(t, sendGRPC(i, ld))
		return id
	}
	columnsOf := func(name string) string {
		return i.one(t, "SELECT count() FROM system.columns WHERE database = 'analytics' AND table = 'events' AND name = '%s'", name)
	}

	before := used(12.5)
	require.Equal(t, "||12.5", i.one(t, "SELECT schema_name, schema_version, properties.coupon_discount FROM events WHERE event_id = '%s'", before))
	require.Equal(t, "0", columnsOf("coupon_discount"))

	putSchema(t, i, "coupon_used.v1.json", coupon)
	await(t, "the new schema is in use", func() bool {
		id := used(12.5)
		return i.one(t, "SELECT schema_name FROM events WHERE event_id = '%s'", id) == "coupon_used"
	})
	require.Equal(t, "Nullable(Decimal(18, 2))", i.one(t, "SELECT type FROM system.columns WHERE database = 'analytics' AND table = 'events' AND name = 'coupon_discount'"))
	id := used(7.25)
	require.Equal(t, "coupon_used|1|7.25|<nil>|email", i.one(t, `SELECT schema_name, schema_version, coupon_discount,
		properties.coupon_discount, properties.signup_method FROM events WHERE event_id = '%s'`, id))
	id = used(-1)
	require.Equal(t, "schema_violation|/coupon_discount", i.one(t, "SELECT reason, pointer FROM failed_events WHERE event_id = '%s'", id))

	// Each of these changes nothing, and is one line.
	broken := func(name, text, mark, wantLine string) {
		t.Helper()
		putSchema(t, i, name, text)
		await(t, "the log speaks of "+mark, func() bool { return i.lines(mark) > 0 })
		id := used(3)
		require.Equal(t, "coupon_used|1|3", i.one(t, "SELECT schema_name, schema_version, coupon_discount FROM events WHERE event_id = '%s'", id))
		id = used(-1)
		require.Equal(t, "1", i.one(t, "SELECT count() FROM failed_events WHERE event_id = '%s'", id))
		require.Equal(t, 1, i.lines(mark), "%s", i.tail())
		line := ""
		for l := range strings.SplitSeq(i.said(), "\n") {
			if strings.Contains(l, mark) {
				line = l
			}
		}
		require.Contains(t, line, "Keeping the former schemas")
		require.Contains(t, line, wantLine)
		mended := i.lines("The schemas are mended")
		require.NoError(t, os.Remove(filepath.Join(i.schema, name)))
		await(t, "the log says that it is mended", func() bool { return i.lines("The schemas are mended") > mended })
	}
	broken("coupon_used.v2.json", `{"type": "object", "properties": {`, "coupon_used.v2.json", "JSON")
	broken("coupon_used.v3.json", `{"type": "objekt"}`, "coupon_used.v3.json", "type")
	broken("coupon_used.v4.json", strings.ReplaceAll(coupon, "Decimal(18, 2)", "Money"), "coupon_used.v4.json", "one of String")
	broken("coupon_used.v5.json", strings.ReplaceAll(coupon, "Decimal(18, 2)", "Float64"), "coupon_used/5", `column "coupon_discount" is Decimal(18, 2)`)
	broken("coupons.json", coupon, "coupons.json", "rename it")

	// A column cannot change its type, so a schema that is good for itself may still not fit the table: its values are
	// kept with the undeclared, and nobody's events stop.
	putSchema(t, i, "coupon_used.v1.json", strings.ReplaceAll(coupon, "Decimal(18, 2)", "Float64"))
	await(t, "the values go where the undeclared are", func() bool {
		id := used(4.5)
		return i.one(t, "SELECT coupon_discount, properties.coupon_discount FROM events WHERE event_id = '%s'", id) == "<nil>|4.5"
	})
	require.Positive(t, i.lines("A column has another type than the schemas say"))
	putSchema(t, i, "coupon_used.v1.json", coupon)

	end()
	require.NoError(t, <-stopped)
	require.NotZero(t, sent.Load())
	require.Equal(t, sent.Load(), mustInt(t, i.one(t, "SELECT uniqExact(event_id) FROM events WHERE startsWith(event_id, '%s/') AND schema_name = 'signed_up'", neighbour)))
}
