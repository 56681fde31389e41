// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"

	"github.com/millrace/millrace/internal/masking"
)

// texts returns what becomes of a text in an attribute that says nothing of it.
func texts(t *testing.T, change func(*Config)) func(string) string {
	t.Helper()
	p := started(t, hostOf(nil, nil), new(consumertest.LogsSink), change)
	return func(text string) string {
		ld := oneEvent(t, "e", "{}")
		recordOf(ld).Attributes().PutStr("comment", text)
		require.NoError(t, p.ConsumeLogs(context.Background(), ld))
		v, _ := recordOf(ld).Attributes().Get("comment")
		return v.AsString()
	}
}

func TestParametersAreReadAsTheyAreWritten(t *testing.T) {
	mask := texts(t, nil)
	f := func(text, want string) {
		t.Helper()
		once := mask(text)
		require.Equal(t, want, once)
		require.Equal(t, want, mask(once), "a second time")
	}
	// An apostrophe is no end of a name, and quotes have a value.
	f("/?last_name=O'Brien&x=1", "/?last_name=%5Bname%5D&x=1")
	f("<a href='/?last_name=Roe'>", "<a href='/?last_name=%5Bname%5D'>")
	f(`level=info first_name="Jane Roe" n=1`, `level=info first_name="[name]" n=1`)
	f(`first_name='Jane Roe', x`, `first_name='[name]', x`)
	f(`first_name="Jane Ro`, `first_name="[name]`)
	f(`href="/?first_name=Jane&x=1" title="y"`, `href="/?first_name=%5Bname%5D&x=1" title="y"`)
	// What was cut off, or is none, stands for itself.
	f("/?q=4111%201111%201111%201111%", "/?q=%5Bpayment_card%5D%25")
	f("/?q=4111%201111%201111%201111%2&x", "/?q=%5Bpayment_card%5D%252&x")
	f("sure 100%, or 50%zz=1", "sure 100%, or 50%zz=1")
	// Blanks in a form.
	f("q=my+card+4111+1111+1111+1111", "q=my+card+%5Bpayment_card%5D")
	f("q=red+shoes", "q=red+shoes")
	f("q=ann+news@example.com+now", "q=%5Bemail%5D+now")
	f("q=ann+news%40example.com", "q=%5Bemail%5D")
	f("q=%2B49+1512+3456789", "q=%5Bphone%5D")
	// Percents of percents.
	f("/?q=ann%2540example.com", "/?q=%255Bemail%255D")
	f("/?q=ann%252540example.com", "/?q=%25255Bemail%25255D")
	// Parameters of a URL that is a parameter.
	f("/?to=/b?first_name=Jane&x=1", "/?to=/b?first_name=%5Bname%5D&x=1")
	f("/?to=/b%3Ffirst_name%3DJane&x=1", "/?to=%2Fb%3Ffirst_name%3D%255Bname%255D&x=1")
	// Words in a path, matrix parameters and fragments.
	f("/users/ann%2540example.com/orders", "/users/%255Bemail%255D/orders")
	f("/pay/4111%201111%201111%201111/now", "/pay/%5Bpayment_card%5D/now")
	f("/a;first_name=Jane;x=2/b", "/a;first_name=%5Bname%5D;x=2/b")
	f("/#/a?x=1&access_token=abc", "/#/a?x=1&access_token=%5Bsecret%5D")
	f("/?user[first_name]=Jane&user%5Blast_name%5D=Roe&phones[]=x", "/?user[first_name]=%5Bname%5D&user%5Blast_name%5D=%5Bname%5D&phones[]=%5Bphone%5D")
}

// What a detector finds around a parameter, or beside it, is masked where the parameter is not.
func TestWhatIsFoundIsMaskedWhateverParametersAreInIt(t *testing.T) {
	f := func(pattern string, keep bool, text, want string) {
		t.Helper()
		mask := texts(t, func(c *Config) {
			c.Detectors.Custom = []CustomConfig{{Name: "own", Class: "own", Pattern: pattern}}
			if keep {
				c.Actions = map[string]masking.Spec{"own": {Action: masking.Keep}}
			}
		})
		require.Equal(t, want, mask(text))
	}
	const text = "begin ?token=abc end"
	f(`begin.*end`, false, text, "[own]")
	f(`begin.*end`, true, text, "begin ?token=%5Bsecret%5D end")
	f(`begin \?token=a`, false, text, "[own]%5Bsecret%5D end")
	f(`bc end`, false, text, "begin ?token=%5Bsecret%5D[own]")
	f(`b`, false, text, "[own]egin ?token=%5Bsecret%5D end")
	f(`begin.*&`, false, "begin ?token=abc&pin=123& end", "[own] end")
}
